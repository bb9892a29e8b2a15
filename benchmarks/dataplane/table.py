"""The tables of a run."""

from collections.abc import Iterator, Mapping

from benchmarks.dataplane.measure import Measured
from benchmarks.dataplane.memory import Held
from benchmarks.dataplane.middles import DIRECT, MIDDLES
from benchmarks.report import Table, print_table

Medians = Mapping[str, Mapping[str, Measured]]


def show(of_loads: Medians, held: Mapping[str, Held]) -> list[Table]:
    """Prints what each middle costs, and what an open stream holds of its memory."""
    costs = print_table(
        "What stands between client and engine (medians of repeats)",
        (
            *("load: middle", "messages/s", "requests/s", "CPU us/message", "x naive"),
            *("CPU us/request", "added TTFT p50 ms", "added p99 ms", "added gap p99 ms"),
            *("messages as one", "MiB", "errors"),
        ),
        [row for of_load in of_loads.values() for row in _rows(of_load)],
        note="direct: CPU is the engine's own; its latencies are what the others add to",
    )
    if not held:
        return [costs]
    return [
        costs,
        print_table(
            "Streams held open",
            ("middle", "streams", "KB/stream", "MiB in all", "errors"),
            [
                (name, f"{one.streams}", f"{one.stream_kb:.1f}", f"{one.mib:.0f}", f"{one.errors}")
                for name, one in held.items()
            ],
        ),
    ]


def _rows(of_load: Mapping[str, Measured]) -> Iterator[list[str]]:
    naive = of_load.get("naive")
    for name, one in of_load.items():
        is_direct, base = name in DIRECT.values(), of_load.get(DIRECT[MIDDLES[name].api])
        ratio = one.cpu_us_per_message / naive.cpu_us_per_message if naive else None
        latencies = [one.ttft_ms_p50, one.ttft_ms_p99, one.gap_ms_p99]
        if base is not None and not is_direct:
            less = (base.ttft_ms_p50, base.ttft_ms_p99, base.gap_ms_p99)
            added = [f"{a - b:+.2f}" for a, b in zip(latencies, less, strict=True)]
        else:
            added = [f"{latency:.2f}" for latency in latencies]
        yield [
            f"{one.load}: {name}",
            f"{one.messages_per_s:.0f}",
            f"{one.requests_per_s:.0f}",
            f"{one.cpu_us_per_message:.1f}",
            "" if ratio is None or is_direct else f"{ratio:.2f}",
            f"{one.cpu_us_per_request:.0f}",
            *added,
            f"{one.messages_as_one:.1f}",
            f"{one.resident_mib:.0f}",
            f"{one.errors}",
        ]
