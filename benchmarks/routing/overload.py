"""What is served in time when ten times as much is asked for as can be served.

    python -m benchmarks.routing.overload [--factors F ...] [--shape NAME] [--seconds S] [--out F]

Four simulated H100 replicas at home, driven by the router's own core in virtual time. Two tenants
of equal weight ask: `quiet` always for a fifth of what the replicas can do, `loud` for the rest of
the load factor. Goodput is what is answered within its objectives (TTFT and gaps), per second after
the first ten, or sixty where answers are long. The same load is run without the router's queue,
where requests wait at the replicas.
"""

import argparse
import os
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial

from benchmarks import report
from benchmarks.report_page import add_options, publish
from benchmarks.routing.hampered import NoGaps
from benchmarks.routing.measures import keeps
from benchmarks.routing.sites import HOME, fleet_of, replicas_of
from benchmarks.serving.summary import quantile
from router.policy.core import RouterCore
from router.policy.fleet import Fleet, Limits, Tenant
from router.policy.units import NS_PER_MS, NS_PER_S, seconds
from router.sim.hardware import H100_TP8
from router.sim.plan import Link, Scenario, SimSession, SimTurn
from router.sim.record import TurnRecord
from router.sim.world import World
from spillway.progress import Progress

FACTORS = (0.5, 1.0, 1.2, 1.5, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Shape:
    """Lengths in tokens: the logarithms' means and deviations, and their bounds."""

    per_s: float  # requests that the four replicas answer, about
    prompt: tuple[float, float] = (6.2, 0.7)
    prompt_min: int = 100
    prompt_max: int = 2_000
    answer: tuple[float, float] = (5.0, 0.6)
    answer_min: int = 20
    answer_max: int = 400
    burst: float = 1.0  # requests that come together, on average
    warm_up_s: int = 10  # not counted: what an empty replica takes in it cannot go on taking


SHAPES = {
    "mixed": Shape(20.0),
    "bursts": Shape(20.0, burst=8.0),
    "short": Shape(60.0, prompt=(4.8, 0.5), answer=(3.8, 0.5)),
    "long prompts": Shape(9.0, prompt=(7.6, 0.5), prompt_max=6_000, answer=(4.5, 0.5)),
    "long answers": Shape(
        9.0, prompt=(5.5, 0.7), answer=(6.0, 0.4), answer_max=1_000, warm_up_s=60
    ),
}
QUIET_SHARE = 0.2
GOODPUT_SHARE_MIN = 0.9  # of its peak, at the greatest factor

_UNQUEUED = Limits(
    endpoint_queue_share=1e6, endpoint_itl_share=1e6
)  # every endpoint always has room


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run. Rates are per second."""

    queue: bool
    factor: float
    offered_per_s: float
    answered_per_s: float
    goodput_per_s: float
    quiet_in_time: float  # share of the quiet tenant's requests
    refused: float  # share of all requests
    ttft_s_p50: float  # of the answered
    ttft_s_p99: float
    waiting_max: int  # requests in the router's queue
    open_max: int  # requests that the core held anything of


class Watched(RouterCore):
    """The core, with the most that it ever held."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(fleet)
        self.waiting_max = 0
        self.open_max = 0

    def on_tick(self, now: int) -> None:
        """See RouterCore."""
        super().on_tick(now)
        state = self.snapshot(now)
        waiting = sum(tenant.waiting for tenant in state.tenants)
        self.waiting_max = max(self.waiting_max, waiting)
        self.open_max = max(self.open_max, waiting + state.open_streams)


class Unqueued(Watched, NoGaps):
    """The core where every endpoint has room for any number of streams."""


def sessions(
    factor: float, duration_s: int, seed: int, shape: Shape = SHAPES["mixed"]
) -> Iterator[SimSession]:
    """Single turns at random moments, one at a time or several."""
    rng = random.Random(seed)
    at, number, per_s = 0.0, 0, factor * shape.per_s
    quiet = min(1.0, QUIET_SHARE / factor)
    while (at := at + rng.expovariate(per_s / shape.burst)) < duration_s:
        for _ in range(rng.randint(1, round(2 * shape.burst) - 1)):
            number += 1
            prompt, answer = rng.lognormvariate(*shape.prompt), rng.lognormvariate(*shape.answer)
            turn = SimTurn(
                prompt_tokens=int(min(shape.prompt_max, max(shape.prompt_min, prompt))),
                output_tokens=int(min(shape.answer_max, max(shape.answer_min, answer))),
            )
            tenant = "quiet" if rng.random() < quiet else "loud"
            yield SimSession(f"s{number}", int(at * NS_PER_S), (turn,), tenant=tenant)


def run(
    job: tuple[bool, float], duration_s: int, seed: int, shape: Shape = SHAPES["mixed"]
) -> Outcome:
    """Run one load factor, with the router's queue or without it."""
    queue, factor = job
    fleet = replace(
        fleet_of(HOME),
        tenants=(Tenant("loud"), Tenant("quiet")),
        limits=Limits() if queue else _UNQUEUED,
    )
    core = Watched(fleet) if queue else Unqueued(fleet)
    counts: Counter[str] = Counter()
    ttft_s: list[float] = []

    def take(record: TurnRecord) -> None:
        if record.sent_ns < shape.warm_up_s * NS_PER_S:
            return
        kept = keeps(record, fleet)
        counts["asked"] += 1
        counts["kept"] += kept
        counts["answered"] += not record.refused
        counts[record.tenant] += 1
        counts[f"{record.tenant} kept"] += kept
        if not record.refused:
            ttft_s.append(seconds(record.ttft_ns))

    world = Scenario({"home": Link(NS_PER_MS)}, block_tokens=64, seed=seed)
    load = sessions(factor, duration_s, seed, shape)
    World(world, replicas_of("home", 4, H100_TP8), [core], take).run(load)
    span_s = duration_s - shape.warm_up_s
    return Outcome(
        queue=queue,
        factor=factor,
        offered_per_s=counts["asked"] / span_s,
        answered_per_s=counts["answered"] / span_s,
        goodput_per_s=counts["kept"] / span_s,
        quiet_in_time=counts["quiet kept"] / max(1, counts["quiet"]),
        refused=1 - counts["answered"] / max(1, counts["asked"]),
        ttft_s_p50=quantile(ttft_s, 0.5),
        ttft_s_p99=quantile(ttft_s, 0.99),
        waiting_max=core.waiting_max,
        open_max=core.open_max,
    )


def main() -> int:
    """Run the command; 1 if goodput falls too far below its peak."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.routing.overload")
    parser.add_argument("--factors", type=float, nargs="+", default=list(FACTORS))
    parser.add_argument("--seconds", type=int, default=50, help="of load that count")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shape", choices=sorted(SHAPES), default="mixed", help="of the requests")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    add_options(parser)
    asked = parser.parse_args()
    jobs = [(queue, factor) for queue in (True, False) for factor in asked.factors]
    shape = SHAPES[asked.shape]
    duration_s = shape.warm_up_s + asked.seconds
    work = partial(run, duration_s=duration_s, seed=asked.seed, shape=shape)
    with ProcessPoolExecutor(asked.processes) as pool, Progress("runs", len(jobs)) as progress:
        outcomes = list(progress.each(pool.map(work, jobs)))
    shown = [
        _show(title, [one for one in outcomes if one.queue is queue])
        for queue, title in ((True, "With the router's queue"), (False, "Without it"))
    ]
    share = _share_of_peak([one for one in outcomes if one.queue])
    verdict = f"At {max(asked.factors):g} times the capacity goodput is {share:.0%} of its peak."
    print(verdict)
    figures = {"outcomes": [asdict(one) for one in outcomes], "share_of_peak": share}
    publish(asked, "Goodput under overload", figures, shown, [verdict])
    return 0 if share >= GOODPUT_SHARE_MIN else 1


def _share_of_peak(outcomes: list[Outcome]) -> float:
    """The goodput at the greatest load, as a share of its peak."""
    greatest = max(outcomes, key=lambda one: one.factor)
    return greatest.goodput_per_s / max(one.goodput_per_s for one in outcomes)


def _show(title: str, outcomes: list[Outcome]) -> report.Table:
    peak = max(one.goodput_per_s for one in outcomes)
    return report.print_table(
        title,
        ("load", "asked/s", "answered/s", "in time/s", "of peak", "quiet in time", "refused",
         "ttft p50", "ttft p99", "waiting max", "open max"),
        [
            (
                f"{one.factor:g}x",
                f"{one.offered_per_s:.1f}",
                f"{one.answered_per_s:.1f}",
                f"{one.goodput_per_s:.1f}",
                f"{one.goodput_per_s / peak:.0%}",
                f"{one.quiet_in_time:.0%}",
                f"{one.refused:.0%}",
                f"{one.ttft_s_p50:.2f} s",
                f"{one.ttft_s_p99:.2f} s",
                str(one.waiting_max),
                str(one.open_max),
            )
            for one in outcomes
        ],
    )  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
