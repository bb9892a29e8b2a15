"""P13 on every trace: of the first tokens that are promised at 90 %, how many come in time.

    python -m benchmarks.routing.promises --traces DIR [--scenario NAME ...] [--out FILE] [--quick]

Each scenario of the comparison behind our core, its class asking for 90 % confidence. A promise
is the predicted time to first token of the endpoint that a request is sent to, whatever rule sent
it there; it is kept where the first token comes within it. Requests that end without a first token
have broken it. Learning is not left out. Kept and broken are counted apart for requests that were
sent at once and for those that had waited in the router. The exit status is 1 where a scenario's
share is not within 85 to 95 %.
"""

import argparse
import itertools
import multiprocessing
import os
import random
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks import report
from benchmarks.report_page import add_options, publish
from benchmarks.routing.compare import QUICK_SESSIONS
from benchmarks.routing.scenarios import SCENARIOS
from benchmarks.routing.setup import Options, Setup
from benchmarks.workloads.traces import TraceError
from router.policy.core import RouterCore
from router.policy.decision import Decision, Send
from router.policy.fleet import Fleet
from router.policy.outcome import FirstToken, Outcome
from router.policy.request import Request
from router.sim.record import TurnRecord
from router.sim.world import World
from spillway.progress import Progress

CONFIDENCE = 0.9
AIM = (0.85, 0.95)
EXIT_MISSED, EXIT_USAGE = 1, 2


@dataclass(frozen=True, slots=True)
class Kept:
    """What came of a scenario's promises."""

    scenario: str
    promises: int
    kept: float  # share
    at_once: float  # share of those that were sent as they came
    waited: float  # and of those that had waited in the router
    waited_count: int

    @property
    def is_within(self) -> bool:
        """Whether as many were kept as were said to be."""
        return AIM[0] <= self.kept <= AIM[1]


class Promising(RouterCore):
    """Our core, which notes what it promises and what comes of it."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(fleet)
        self._open: dict[str, tuple[int, bool]] = {}  # what was promised, and whether it had waited
        self.kept: dict[bool, list[bool]] = {False: [], True: []}  # by whether it had waited

    def on_request(self, request: Request, now: int, rng: random.Random) -> Decision:
        """Note the promise."""
        decision = super().on_request(request, now, rng)
        self._note(decision, waited=False)
        return decision

    def release(self, now: int, rng: random.Random) -> tuple[Decision, ...]:
        """Note the promises."""
        decisions = super().release(now, rng)
        for decision in decisions:
            self._note(decision, waited=True)
        return decisions

    def on_outcome(self, outcome: Outcome, now: int, rng: random.Random) -> Decision | None:
        """See whether it was kept, and note the promise of another attempt."""
        promised_ns, waited = self._open.pop(outcome.request, (-1, False))
        if promised_ns >= 0:
            in_time = isinstance(outcome, FirstToken) and outcome.ttft_ns <= promised_ns
            self.kept[waited].append(in_time)
        decision = super().on_outcome(outcome, now, rng)
        self._note(decision, waited=False)
        return decision

    def _note(self, decision: Decision | None, *, waited: bool) -> None:
        if isinstance(decision, Send):
            self._open[decision.request] = (decision.chosen.ttft_ns, waited)


def promises_of(scenario: str, options: Options) -> Kept:
    """Run a scenario and count."""
    return promises_in(SCENARIOS[scenario](options), QUICK_SESSIONS if options.quick else None)


def promises_in(setup: Setup, sessions_max: int | None = None) -> Kept:
    """Run so many sessions of a setup, or all, and count."""
    classes = tuple(replace(slo, confidence=CONFIDENCE) for slo in setup.fleet.slo_classes)
    fleet = replace(setup.fleet, slo_classes=classes)
    cores = [Promising(fleet) for _ in range(setup.routers)]
    sessions = itertools.islice(setup.sessions(), sessions_max)
    World(setup.world, setup.replicas, cores, _forget).run(sessions)
    kept = {w: [one for core in cores for one in core.kept[w]] for w in (False, True)}
    both = kept[False] + kept[True]
    return Kept(
        setup.name,
        len(both),
        _share(both),
        _share(kept[False]),
        _share(kept[True]),
        len(kept[True]),
    )


def _forget(record: TurnRecord) -> None:
    _ = record


def _share(kept: Sequence[bool]) -> float:
    return sum(kept) / max(1, len(kept))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the table, write the figures; 1 if a scenario is outside."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--traces", type=Path, required=True, help="the folder of the data")
    parser.add_argument("--scenario", nargs="+", choices=list(SCENARIOS), help="absent: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a few hundred sessions of each")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    add_options(parser)
    asked = parser.parse_args(arguments)
    options = Options(asked.traces, asked.seed, asked.quick)
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(asked.processes, mp_context=context) as pool:
            names = asked.scenario or list(SCENARIOS)
            with Progress("scenarios", len(names)) as progress:
                found = list(progress.each(pool.map(promises_of, names, itertools.repeat(options))))
    except (TraceError, OSError) as error:
        print(f"benchmarks.routing.promises: {error}", file=sys.stderr)
        return EXIT_USAGE
    shown = report.print_table(
        "First tokens promised at 90 %",
        ("scenario", "promises", "kept", "sent at once", "after waiting", "within 85 to 95 %"),
        [
            (
                one.scenario,
                f"{one.promises:,}",
                f"{100 * one.kept:.1f} %",
                f"{100 * one.at_once:.1f} %",
                f"{100 * one.waited:.1f} % of {one.waited_count:,}" if one.waited_count else "-",
                "yes" if one.is_within else "NO",
            )
            for one in found
        ],
    )
    publish(asked, "Promises kept", {"promises": [asdict(one) for one in found]}, [shown])
    return 0 if all(one.is_within for one in found) else EXIT_MISSED


if __name__ == "__main__":
    sys.exit(main())
