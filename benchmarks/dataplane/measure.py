"""One middle under one load: what it costs, and what it adds."""

import asyncio
import contextlib
import functools
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from benchmarks.dataplane.load import Load, drive
from benchmarks.dataplane.middles import MIDDLES, middle
from benchmarks.dataplane.process import cpu_s, resident_bytes, running
from benchmarks.serving.summary import quantile


@dataclass(frozen=True, slots=True)
class Measured:
    """One middle under one load, in one repeat or as the median of several.

    CPU is the middle's with its children, in microseconds; with nothing between it is the engine's.
    A message is one of the engine's, also where several of them reach the client as one.
    """

    load: str
    middle: str
    repeat: int
    messages_per_s: float
    requests_per_s: float
    cpu_us_per_message: float
    cpu_us_per_request: float
    ttft_ms_p50: float
    ttft_ms_p99: float
    gap_ms_p99: float
    messages_as_one: float  # how many of the engine's messages came as one, on average
    resident_mib: float
    errors: int


async def measure(
    load: Load, name: str, repeat: int, duration_s: float, programs: Path | None
) -> Measured:
    """Starts engine and middle, and drives the load. Raises MissingError for an absent rival."""
    pace = ["--interval-ms", str(load.interval_ms), "--shape", load.shape]
    async with contextlib.AsyncExitStack() as started:
        engine = await started.enter_async_context(running(MIDDLES[name].engine, pace))
        process = await started.enter_async_context(middle(name, programs, engine))
        spent = functools.partial(cpu_s, process.pid)
        api = MIDDLES[name].api
        drove = await asyncio.to_thread(drive, process.address, load, duration_s, spent, api)
        seen, cpu_us = drove.seen, drove.cpu_s * 1e6
        return Measured(
            load=load.name,
            middle=name,
            repeat=repeat,
            messages_per_s=seen.tokens / drove.seconds,
            requests_per_s=seen.requests / drove.seconds,
            cpu_us_per_message=cpu_us / max(1, seen.tokens),
            cpu_us_per_request=cpu_us / max(1, seen.requests),
            ttft_ms_p50=quantile(seen.ttft_s, 0.5) * 1_000,
            ttft_ms_p99=quantile(seen.ttft_s, 0.99) * 1_000,
            gap_ms_p99=quantile(seen.gaps_s, 0.99) * 1_000,
            messages_as_one=seen.tokens / max(1, seen.messages),
            resident_mib=resident_bytes(process.pid) / 2**20,
            errors=seen.errors.total(),
        )


def median(repeats: Sequence[Measured]) -> Measured:
    """The medians of one middle's repeats; its errors are the most that any repeat had."""
    numbers = {
        one.name: statistics.median(getattr(measured, one.name) for measured in repeats)
        for one in fields(Measured)
        if one.type is float
    }
    first = repeats[0]
    errors = max(one.errors for one in repeats)
    return Measured(first.load, first.middle, len(repeats), **numbers, errors=errors)


def medians(measured: Iterable[Measured]) -> dict[str, dict[str, Measured]]:
    """The median of each middle under each load, in the order of the run."""
    groups: dict[str, dict[str, list[Measured]]] = {}
    for one in measured:
        groups.setdefault(one.load, {}).setdefault(one.middle, []).append(one)
    return {
        load: {name: median(repeats) for name, repeats in of_load.items()}
        for load, of_load in groups.items()
    }
