"""All targets, by their names."""

from collections.abc import Mapping
from typing import Final

from benchmarks.fuzz import face_targets, site_targets, trust_targets, wire_targets
from benchmarks.fuzz.running import Outcome, run
from benchmarks.fuzz.target import Target

TARGETS: Final[Mapping[str, Target]] = {
    one.name: one
    for module in (wire_targets, trust_targets, face_targets, site_targets)
    for one in module.TARGETS
}


def run_job(job: tuple[str, int, float, int]) -> Outcome:
    """A target's run in a process of its own: its name, and what `run` takes."""
    name, inputs_max, seconds_max, seed = job
    return run(TARGETS[name], inputs_max, seconds_max, seed)
