"""Results on disk: a policy that has not changed need not run again beside one that has.

A file holds results of one setup, named by a fingerprint of all that the policies met: sites and
objectives, replicas, world, load and seed. Results of another setup are not read. What it does not
see is a change of the simulator, of a policy or of our own limits: run what they touch again.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.report import write_json
from benchmarks.routing.compare import Result
from benchmarks.routing.measures import Latency, Summary
from benchmarks.routing.series import Series
from benchmarks.routing.setup import Options, Setup


def fingerprint(setup: Setup, options: Options) -> str:
    """What a scenario was, in short."""
    sites = [(site.name, site.kind, site.price) for site in setup.fleet.sites]
    objectives = [
        (slo.name, slo.ttft_ns, slo.ttft_ns_per_prompt_token, slo.itl_ns)
        for slo in setup.fleet.slo_classes
    ]
    parts = (setup.title, sites, objectives, setup.replicas, setup.world, setup.routers)
    text = repr((parts, options.seed, options.quick))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def write(path: Path, setup: Setup, options: Options, results: Sequence[Result]) -> None:
    """Write a scenario's results beside its environment."""
    write_json(
        path,
        {
            "scenario": setup.name,
            "title": setup.title,
            "seed": options.seed,
            "setup": fingerprint(setup, options),
            "policies": {result.policy: asdict(result) for result in results},
        },
    )


def read(path: Path, setup: Setup, options: Options) -> list[Result]:
    """The results that a file holds of this very setup; none where there are none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    if found.get("setup") != fingerprint(setup, options):
        return []
    return [_result(one) for one in found["policies"].values()]


def _result(values: dict[str, Any]) -> Result:
    summary = dict(values["summary"])
    for name in ("ttft_s", "end_to_end_s"):
        summary[name] = Latency(**summary[name])
    return Result(
        values["scenario"],
        values["policy"],
        Summary(**summary),
        Series(**values["series"]),
        values["cpu_s"],
    )
