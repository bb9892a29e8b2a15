"""Whether the story went as it must: the reasons for the demo's exit code."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.demo.blow import harm
from benchmarks.demo.story import CALM, CALM_AGAIN, SURGE, phase_at
from benchmarks.serving.record import Record

CALM_OVERFLOW_MAX = 0.1  # a machine that others use may hiccup
SURGE_OVERFLOW_MIN = 0.1
SETTLE_S = 8.5  # after the surge: its queue ends, its sessions end, and the router waits
BACK_HOME_MIN = 0.6  # of a handful of turns


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must hold."""

    holds: bool
    sentence: str


def overflow_share(records: Sequence[Record], home: str) -> float:
    """The share of answered turns that another site answered; 0 where none was answered."""
    answered = [record for record in records if record.site]
    return sum(record.site != home for record in answered) / max(1, len(answered))


def in_phase(records: Sequence[Record], name: str) -> list[Record]:
    """The turns that were sent while a phase lasted, whenever their session began."""
    return [record for record in records if phase_at(record.intended_s).name == name]


def checks(records: Sequence[Record], home: str) -> list[Check]:
    """What must hold for the demo to succeed."""
    whole = sum(record.status == "OK" for record in records)
    right = sum(record.right is True for record in records)
    calm = overflow_share(in_phase(records, CALM.name), home)
    surge = overflow_share(in_phase(records, SURGE.name), home)
    again = in_phase(records, CALM_AGAIN.name)
    settled = [r for r in again if r.intended_s >= CALM_AGAIN.begins_s + SETTLE_S]
    at_home = 1 - overflow_share(settled, home) if settled else 0.0
    count = len(records)
    done = harm(records)
    return [
        Check(count > 0 and whole == count, f"{whole} of {count} streams arrived complete"),
        Check(count > 0 and right == count, f"{right} of {count} equal their known right answer"),
        Check(
            done.resumed > 0 and done.lost_tokens == 0,
            f"{done.resumed} streams resumed, tokens lost {done.lost_tokens}",
        ),
        Check(calm <= CALM_OVERFLOW_MAX, f"calm stayed home: {calm:.0%} overflowed"),
        Check(surge >= SURGE_OVERFLOW_MIN, f"the surge overflowed: {surge:.0%} of its turns"),
        Check(at_home >= BACK_HOME_MIN, f"calm came back: {at_home:.0%} of the last turns at home"),
    ]
