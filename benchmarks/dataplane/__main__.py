"""`python -m benchmarks.dataplane`: what each middle costs, side by side in one run."""

import argparse
import asyncio
import contextlib
import functools
import statistics
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.dataplane.load import Load, drive
from benchmarks.dataplane.process import Running, cpu_s, resident_bytes, running
from benchmarks.report import print_table, write_json
from benchmarks.serving.summary import quantile

LOADS = (
    Load("64 x 20 ms", streams=64, interval_ms=20, messages=100),
    Load("64 x 20 ms, bursts", streams=64, interval_ms=20, messages=100, shape="bursts"),
    Load("512 x 50 ms", streams=512, interval_ms=50, messages=100),
    Load("saturated", streams=16, interval_ms=0, messages=2000),
)
MIDDLES = ("direct", "naive", "spillway")


@dataclass(frozen=True, slots=True)
class Measured:
    """One middle under one load in one repeat. CPU in microseconds per message of the middle."""

    load: str
    middle: str
    repeat: int
    messages_per_s: float
    cpu_us_per_message: float
    ttft_ms_p50: float
    ttft_ms_p99: float
    gap_ms_p99: float
    resident_mib: float
    errors: int


@contextlib.asynccontextmanager
async def _middle(name: str, backend: Running) -> AsyncIterator[Running]:
    match name:
        case "direct":
            yield backend
        case "naive":
            async with running("benchmarks.dataplane.naive", ["--to", backend.address]) as proxy:
                yield proxy
        case _:
            module = "benchmarks.dataplane.spillway_router"
            async with running(module, ["--to", backend.address]) as router:
                yield router


async def _measure(load: Load, middle: str, repeat: int, duration_s: float) -> Measured:
    pace = ["--interval-ms", str(load.interval_ms), "--shape", load.shape]
    async with (
        running("benchmarks.dataplane.backend", pace) as backend,
        _middle(middle, backend) as process,
    ):
        seen, spent_s = await drive(
            process.address, load, duration_s, functools.partial(cpu_s, process.pid)
        )
        return Measured(
            load=load.name,
            middle=middle,
            repeat=repeat,
            messages_per_s=seen.messages / duration_s,
            cpu_us_per_message=spent_s / max(1, seen.messages) * 1e6,
            ttft_ms_p50=quantile(seen.ttft_s, 0.5) * 1000,
            ttft_ms_p99=quantile(seen.ttft_s, 0.99) * 1000,
            gap_ms_p99=quantile(seen.gaps_s, 0.99) * 1000,
            resident_mib=resident_bytes(process.pid) / 2**20,
            errors=len(seen.errors),
        )


async def _run(options: argparse.Namespace) -> list[Measured]:
    measured = []
    for repeat in range(options.repeats):
        for load in _loads(options):
            # In turn, so that a noisy minute is shared by all middles.
            for middle in options.middles:
                _say(f"repeat {repeat + 1}/{options.repeats}: {load.name}, {middle}")
                measured.append(await _measure(load, middle, repeat, options.seconds))
    return measured


def _loads(options: argparse.Namespace) -> Iterator[Load]:
    return (load for load in LOADS if not options.loads or load.name in options.loads)


def _show(measured: list[Measured]) -> None:
    loads = dict.fromkeys(one.load for one in measured)
    print_table(
        "What stands between client and backend (medians of repeats)",
        (
            *("load: middle", "messages/s", "CPU us/message", "x naive", "TTFT p50 ms"),
            *("added p50 ms", "added p99 ms", "added gap p99 ms", "MiB", "errors"),
        ),
        [row for load in loads for row in _rows([one for one in measured if one.load == load])],
        note="direct: CPU is the backend's own",
    )


def _rows(of_load: list[Measured]) -> Iterator[list[str]]:
    by_middle = {name: _median(of_load, name) for name in dict.fromkeys(m.middle for m in of_load)}
    naive = by_middle.get("naive")
    for middle, one in by_middle.items():
        base = by_middle.get("direct", one)
        ratio = one.cpu_us_per_message / naive.cpu_us_per_message if naive else None
        yield [
            f"{one.load}: {middle}",
            f"{one.messages_per_s:.0f}",
            f"{one.cpu_us_per_message:.1f}",
            "" if ratio is None or middle == "direct" else f"{ratio:.2f}",
            f"{one.ttft_ms_p50:.2f}",
            f"{one.ttft_ms_p50 - base.ttft_ms_p50:+.2f}",
            f"{one.ttft_ms_p99 - base.ttft_ms_p99:+.2f}",
            f"{one.gap_ms_p99 - base.gap_ms_p99:+.2f}",
            f"{one.resident_mib:.0f}",
            f"{one.errors}",
        ]


def _median(of_load: list[Measured], middle: str) -> Measured:
    """The medians of one middle's repeats; its errors are the most that any repeat had."""
    repeats = [one for one in of_load if one.middle == middle]

    def median(figure: Callable[[Measured], float]) -> float:
        return statistics.median(figure(one) for one in repeats)

    return Measured(
        load=repeats[0].load,
        middle=middle,
        repeat=len(repeats),
        messages_per_s=median(lambda one: one.messages_per_s),
        cpu_us_per_message=median(lambda one: one.cpu_us_per_message),
        ttft_ms_p50=median(lambda one: one.ttft_ms_p50),
        ttft_ms_p99=median(lambda one: one.ttft_ms_p99),
        gap_ms_p99=median(lambda one: one.gap_ms_p99),
        resident_mib=median(lambda one: one.resident_mib),
        errors=max(one.errors for one in repeats),
    )


def _say(line: str) -> None:
    if sys.stderr.isatty():
        print(line, file=sys.stderr)


def main() -> int:
    """Run the command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataplane", description=__doc__)
    parser.add_argument("--loads", nargs="*", choices=[load.name for load in LOADS], default=[])
    parser.add_argument("--middles", nargs="*", choices=MIDDLES, default=MIDDLES)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--out", type=Path, help="write the result as JSON here")
    options = parser.parse_args()
    try:
        measured = asyncio.run(_run(options))
    except KeyboardInterrupt:
        print("benchmarks.dataplane: interrupted", file=sys.stderr)
        return 130
    _show(measured)
    if options.out is not None:
        write_json(options.out, {"measured": [asdict(one) for one in measured]})
    return 1 if any(one.errors for one in measured) else 0


if __name__ == "__main__":
    sys.exit(main())
