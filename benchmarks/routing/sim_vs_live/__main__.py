"""`python -m benchmarks.routing.sim_vs_live`: one workload, live and simulated, in one run.

    python -m benchmarks.routing.sim_vs_live [--engine vllm|fake] [--duration S] [--out FILE]

It starts the local fleet (a small home and a rented site, one replica each), measures the sites by
single streams and full batches, all sites at once, as they share this machine, and what the router
adds; then it drives bursts of conversations that share their beginning through the router, and the
same sessions through the simulator. The exit status is 1 where a simulated percentile is off by
more than 15 %.
"""

import argparse
import asyncio
import itertools
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import report
from benchmarks.routing.sim_vs_live.compare import (
    Row,
    agrees,
    compare,
    drive,
    simulate,
    workload,
)
from benchmarks.routing.sim_vs_live.site import (
    LiveSite,
    Measured,
    NotMeasuredError,
    measure,
    router_adds_s,
)
from benchmarks.serving.record import Record
from benchmarks.workloads.prompts import CheckedPrompter, Prompter, built_in_answer
from router.policy.fleet import Fleet, Site
from router.sim.record import TurnRecord
from serving.counting import count_on
from spillway.local.errors import LocalError
from spillway.local.fleet import LocalFleet
from spillway.local.foreground import sigterm_as_interrupt
from spillway.local.plan import FleetPlan
from spillway.local.reporter import reporter_for_terminal
from spillway.local.two_sites import (
    HOME,
    HOME_SLOTS,
    RENTED,
    RENTED_SLOTS,
    built_in_model,
    fake_engine,
    two_sites,
)

EXIT_OFF, EXIT_INTERRUPTED = 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run both worlds and print both distributions."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.routing.sim_vs_live",
        description=(__doc__ or "").split("\n", maxsplit=1)[0],
    )
    parser.add_argument("--engine", choices=("vllm", "fake"), default="vllm")
    parser.add_argument("--duration", type=float, default=60.0, help="seconds of arrivals")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="write the figures here, as JSON")
    options = parser.parse_args(arguments)
    plan = two_sites(fake_engine() if options.engine == "fake" else built_in_model())
    prompter = CheckedPrompter(_counted if options.engine == "fake" else built_in_answer)
    reporter = reporter_for_terminal()
    try:
        with sigterm_as_interrupt(), LocalFleet(plan, reporter) as fleet:
            with reporter:
                fleet.start()
            live = [
                LiveSite(name, fleet.sites[name].replica_addresses()[0], slots)
                for name, slots in ((HOME, HOME_SLOTS), (RENTED, RENTED_SLOTS))
            ]
            found = asyncio.run(
                _both(fleet.address, fleet_of(plan), live, prompter, options.duration, options.seed)
            )
    except (LocalError, NotMeasuredError) as error:
        print(f"benchmarks.routing.sim_vs_live: {error}", file=sys.stderr)
        return EXIT_OFF
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    measured, records, virtual = found
    rows = compare(records, virtual)
    _show(rows, records, virtual)
    if options.out:
        figures = {
            "engine": options.engine,
            "profiles": [asdict(one.profile) for one in measured],
            "rows": [asdict(row) | {"error": row.error} for row in rows],
        }
        report.write_json(options.out, {"sim_vs_live": figures})
    return 0 if agrees(rows) else EXIT_OFF


def fleet_of(plan: FleetPlan) -> Fleet:
    """What the router of a local fleet is told."""
    sites = tuple(Site(site.name, site.kind, price=site.price) for site in plan.sites)
    return Fleet(sites, plan.slo_classes, plan.slo_classes[0].name)


async def _both(
    router: str,
    fleet: Fleet,
    sites: Sequence[LiveSite],
    prompter: Prompter,
    duration_s: float,
    seed: int,
) -> tuple[list[Measured], list[Record], list[TurnRecord]]:
    """Measure, then drive, then simulate.

    The sites are measured together: where they share a machine, one is slower while others work.
    """
    alone = await asyncio.gather(*(measure(site, prompter, seed) for site in sites))
    added_s = await router_adds_s(router, sites[0], prompter, seed)
    measured = [one.behind_router(added_s) for one in alone]
    plan = workload(measured, duration_s, seed)
    records = await drive(router, plan, prompter)
    return measured, records, simulate(fleet, measured, plan, seed)


def _counted(prompt: str, tokens: int) -> str:
    """What the fake engine says."""
    return bytes(itertools.islice(count_on(prompt.encode()), tokens)).decode()


def _show(rows: Sequence[Row], live: Sequence[Record], virtual: Sequence[TurnRecord]) -> None:
    failed = sum(record.status != "OK" for record in live)
    refused = sum(bool(record.refused) for record in virtual)
    report.print_table(
        "The same sessions, live and simulated",
        ("", "live", "simulated", "off by"),
        [
            (
                row.what,
                f"{1000 * row.live_s:.0f} ms",
                f"{1000 * row.simulated_s:.0f} ms",
                f"{100 * row.error:+.0f} %",
            )
            for row in rows
        ],
        note=f"live: {len(live)} turns, {failed} failed, {_away(live)} away from home; simulated: "
        f"{len(virtual)} turns, {refused} failed, {_away(virtual)} away from home",
    )


def _away(records: Sequence[Record] | Sequence[TurnRecord]) -> int:
    return sum(record.site == RENTED for record in records)


if __name__ == "__main__":
    sys.exit(main())
