"""What each part of ours is worth, and what it bears: one thing taken away or made worse at a time.

    python -m benchmarks.routing.ablation --traces DIR --out DIR [--scenario NAME] [--only NAME ...]
        [--sessions N]

Each line is a run of the scenario, or of its first N sessions, with the same seed. The first group
drops an ingredient, the second withholds information, the third makes the world worse.
"""

import argparse
import itertools
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.report import print_table, write_json
from benchmarks.report_page import add_option, write_page
from benchmarks.routing.hampered import Misled, NoGaps, NoHashes, NoLengths, NoSessions
from benchmarks.routing.measures import Measures, Summary
from benchmarks.routing.scenarios import SCENARIOS
from benchmarks.routing.setup import Options, Setup
from router.policy.core import RouterCore
from router.policy.fleet import Fleet
from router.policy.units import NS_PER_S
from router.sim.policy import Policy
from router.sim.world import World
from spillway.progress import Progress

Change = Callable[[Setup], Setup]
Make = Callable[[Fleet], Policy]

COLUMNS = ("variant", "kept", "TTFT p50", "p95", "p99 s", "cached", "USD", "away", "failed")
_NEVER = 1e6  # a bound that nothing reaches


@dataclass(frozen=True, slots=True)
class Variant:
    """One line: the world changed, the policy changed, or neither."""

    change: Change = lambda setup: setup
    make: Make = RouterCore


def _limits(**changed: float) -> Change:
    """Ours with other limits."""

    def change(setup: Setup) -> Setup:
        limits = replace(setup.fleet.limits, **changed)  # type: ignore[arg-type]
        return replace(setup, fleet=replace(setup.fleet, limits=limits))

    return change


def _world(**changed: object) -> Change:
    """The same fleet in another world."""
    return lambda setup: replace(setup, world=replace(setup.world, **changed))  # type: ignore[arg-type]


def _routers(count: int) -> Change:
    """So many routers, each with its own view."""
    return lambda setup: replace(setup, routers=count)


def _far(times: int) -> Change:
    """Every round trip so many times as long."""

    def change(setup: Setup) -> Setup:
        links = {
            site: replace(link, rtt_ns=times * link.rtt_ns)
            for site, link in setup.world.links.items()
        }
        return replace(setup, world=replace(setup.world, links=links))

    return change


def _dear(times: float) -> Change:
    """Every price so many times as high."""

    def change(setup: Setup) -> Setup:
        sites = tuple(
            replace(
                site,
                price=replace(
                    site.price,
                    metered_usd_per_replica_hour=times * site.price.metered_usd_per_replica_hour,
                    egress_usd_per_gib=times * site.price.egress_usd_per_gib,
                ),
            )
            for site in setup.fleet.sites
        )
        prices = {site.name: site.price for site in sites if site.name in setup.world.prices}
        world = replace(setup.world, prices=prices)
        return replace(setup, fleet=replace(setup.fleet, sites=sites), world=world)

    return change


VARIANTS: dict[str, Variant] = {
    "ours": Variant(),
    "without the queue in the router": Variant(
        _limits(endpoint_queue_share=_NEVER, endpoint_itl_share=_NEVER)
    ),
    "without care for gaps": Variant(_limits(endpoint_itl_share=_NEVER), NoGaps),
    "without a reserve at home": Variant(_limits(home_reserve=0.0)),
    "without hysteresis": Variant(_limits(spill_back_margin=1.0, spill_back_dwell_ns=0)),
    "without the rule on hot prefixes": Variant(_limits(hot_prefix_share=_NEVER)),
    "with reports that never age": Variant(
        _limits(report_fresh_ns=10**15, report_stale_ns=2 * 10**15)
    ),
    "no load reports": Variant(_world(report_interval_ns=None)),
    "no prefix hashes": Variant(make=NoHashes),
    "no sessions": Variant(make=NoSessions),
    "no output lengths": Variant(make=NoLengths),
    "answers taken for a quarter": Variant(make=lambda fleet: Misled(fleet, 0.25)),
    "answers taken for four times": Variant(make=lambda fleet: Misled(fleet, 4.0)),
    "reports 1 s late": Variant(_world(report_delay_ns=NS_PER_S)),
    "reports 10 s late": Variant(_world(report_delay_ns=10 * NS_PER_S)),
    "round trips doubled": Variant(_far(2)),
    "prices tripled": Variant(_dear(3.0)),
    "2 routers": Variant(_routers(2)),
    "4 routers": Variant(_routers(4)),
    "16 routers": Variant(_routers(16)),
}


def run(setup: Setup, variant: Variant, sessions_max: int | None) -> Summary:
    """One variant in one scenario."""
    setup = variant.change(setup)
    sessions = itertools.islice(setup.sessions(), sessions_max)
    measures = Measures(setup.fleet)
    policies = [variant.make(setup.fleet) for _ in range(setup.routers)]
    World(setup.world, setup.replicas, policies, measures.add).run(sessions)
    return measures.summary()


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and write it; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--traces", type=Path, required=True, help="the folder of the data")
    parser.add_argument("--out", type=Path, required=True, help="where the results go")
    parser.add_argument("--scenario", choices=list(SCENARIOS), default="burst")
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), help="absent: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sessions", type=int, help="the first so many alone; absent: all")
    add_option(parser)
    asked = parser.parse_args(arguments)
    setup = SCENARIOS[asked.scenario](Options(asked.traces, asked.seed))
    found = {}
    names = asked.only or list(VARIANTS)
    with Progress("variants", len(names)) as progress:
        for name in names:
            found[name] = run(setup, VARIANTS[name], asked.sessions)
            progress.advance(said=f"{name}: {found[name].attainment:.2%} kept")
    shown = print_table(
        f"{asked.scenario}: ours, changed one thing at a time",
        COLUMNS,
        [_row(name, summary) for name, summary in found.items()],
    )
    asked.out.mkdir(parents=True, exist_ok=True)
    results = {name: asdict(summary) for name, summary in found.items()}
    write_json(asked.out / f"ablation-{asked.scenario}.json", results)
    if asked.html is not None:
        write_page(asked.html, "What each part of routing is worth", [shown], vars(asked))
    return 0


def _row(name: str, summary: Summary) -> list[str]:
    ttft = summary.ttft_s
    return [
        name,
        f"{summary.attainment:.2%}",
        *(f"{value:.2f}" for value in (ttft.p50, ttft.p95, ttft.p99)),
        f"{summary.hit_rate:.1%}",
        f"{summary.metered_usd:.2f}",
        f"{summary.overflowed:.1%}",
        str(summary.failed),
    ]


if __name__ == "__main__":
    sys.exit(main())
