"""The tables that the demo ends with."""

import sys
from collections import Counter
from collections.abc import Sequence

from benchmarks.demo.blow import Blow, harm
from benchmarks.demo.story import PHASES
from benchmarks.demo.verdict import in_phase, overflow_share
from benchmarks.demo.watch import FleetWatch
from benchmarks.report import print_table
from benchmarks.serving.record import Record
from benchmarks.serving.summary import Percentiles, percentiles
from wire.spillway.v1 import fleet_pb2

SITE_COLUMNS = (
    *("site", "sessions", "turns", "TTFT p50", "p99 ms", "ITL p50", "p99 ms"),
    *("tokens", "cache hits", "metered cost"),
)
BLOW_COLUMNS = ("what", "streams resumed", "tokens lost", "longest pause ms", "turns put off")
FAILURES_SHOWN = 5
PHASE_COLUMNS = ("phase", "turns", "overflow", "TTFT p50", "p99 ms")


def show(records: Sequence[Record], watch: FleetWatch, home: str) -> None:
    """Print a row for each site, as its clients saw it, and a row for each phase."""
    sites = [_site(records, site, watch.hit_rate(site.name)) for site in watch.state.sites]
    print_table("What each site served", SITE_COLUMNS, sites)
    rows = [_phase(in_phase(records, phase.name), phase.name, home) for phase in PHASES]
    print_table("What overflowed", PHASE_COLUMNS, rows)


def show_blow(records: Sequence[Record], blow: Blow) -> None:
    """Print what the death of the engine cost its clients."""
    done = harm(records)
    row = [
        f"the engine of {blow.site}, killed after {blow.at_s:.0f} s",
        str(done.resumed),
        str(done.lost_tokens),
        f"{done.pause_s_max * 1000:.0f}",
        str(done.refused),
    ]
    print_table("What died", BLOW_COLUMNS, [row])


def show_failures(records: Sequence[Record]) -> None:
    """Print what went wrong, each kind once."""
    kinds = Counter(
        (record.status, record.site or "no site", record.detail)
        for record in records
        if record.status != "OK" or record.right is False
    )
    for (status, site, detail), count in kinds.most_common(FAILURES_SHOWN):
        sys.stdout.write(f"{count} times {status} at {site}: {detail}\n")


def _site(records: Sequence[Record], site: fleet_pb2.SiteState, hits: float) -> list[str]:
    own = [record for record in records if record.site == site.name]
    return [
        site.name,
        str(len({record.session for record in own})),
        str(len(own)),
        *_ms(_ttft(own)),
        *_ms(percentiles([gap for record in own for gap in record.gaps_s])),
        str(sum(record.output_tokens for record in own)),
        f"{hits:.0%}",
        f"${site.cost_usd:.5f}",
    ]


def _phase(records: Sequence[Record], name: str, home: str) -> list[str]:
    return [name, str(len(records)), f"{overflow_share(records, home):.0%}", *_ms(_ttft(records))]


def _ttft(records: Sequence[Record]) -> Percentiles:
    return percentiles([record.ttft_s for record in records if record.ttft_s is not None])


def _ms(values: Percentiles) -> list[str]:
    return [f"{values.p50 * 1000:.0f}", f"{values.p99 * 1000:.0f}"]
