"""A few seconds of load on the bare sites: what this machine does, before a router is in front."""

import asyncio
import itertools
import math
import random
import time
from collections.abc import Sequence

from benchmarks.demo.story import PROMPT_TOKENS, Calibration
from benchmarks.serving.driver import Driver
from benchmarks.serving.record import Record
from benchmarks.serving.summary import quantile
from benchmarks.serving.target import connected
from benchmarks.workloads.prompts import Prompter
from benchmarks.workloads.sessions import Shape, sessions
from spillway.local.errors import LocalError

IDLE_TURNS = 4  # the first warms up and is not counted
ALONE_S, BUSY_S = 2.0, 3.0
BUSY_RENTED_STREAMS = 16  # enough to show what a site with many slots serves
OUTPUT_TOKENS = 48
DEADLINE_S = 60.0


class CalibrationError(LocalError):
    """A site did not answer as it must; the message says how."""


async def calibrate(home: str, rented: str, home_slots: int, prompter: Prompter) -> Calibration:
    """Measure the sites at these addresses (host:port), one stream first, then home, then both.

    Raises:
        CalibrationError: a stream failed or was wrong.
    """
    idle = await _drive(home, prompter, streams=1, turns=IDLE_TURNS)
    alone = await _drive(home, prompter, streams=home_slots, duration_s=ALONE_S)
    busy_home, busy_rented = await asyncio.gather(
        _drive(home, prompter, streams=home_slots, duration_s=BUSY_S),
        _drive(rented, prompter, streams=BUSY_RENTED_STREAMS, duration_s=BUSY_S),
    )
    return Calibration(
        idle_ttft_s=quantile([r.ttft_s for r in idle[1:] if r.ttft_s is not None], 0.5),
        home_slots=home_slots,
        alone_tokens_per_s=_tokens_per_s(alone),
        home_tokens_per_s=_tokens_per_s(busy_home),
        rented_tokens_per_s=_tokens_per_s(busy_rented),
    )


async def _drive(
    address: str,
    prompter: Prompter,
    *,
    streams: int,
    turns: int | None = None,
    duration_s: float = math.inf,
) -> list[Record]:
    """So many streams at a time, for so many turns or so long."""
    records: list[Record] = []
    shape = Shape(prompt_tokens=PROMPT_TOKENS, output_tokens=OUTPUT_TOKENS)
    rng = random.Random(time.time_ns())
    plan = sessions(itertools.repeat(0.0), shape, rng=rng, duration_s=math.inf)
    ends_s = time.perf_counter() + duration_s
    timely = itertools.takewhile(lambda _: time.perf_counter() < ends_s, plan)
    async with connected(address, deadline_s=DEADLINE_S) as target:
        driver = Driver(target, prompter, records.append)
        await driver.closed_loop(itertools.islice(timely, turns), streams)
    _require_right(records, address)
    return records


def _tokens_per_s(records: Sequence[Record]) -> float:
    """From the first request to the last answer."""
    ended_s = max(record.intended_s + record.end_to_end_s for record in records)
    return sum(record.output_tokens for record in records) / ended_s


def _require_right(records: Sequence[Record], address: str) -> None:
    for record in records:
        if record.status != "OK" or record.right is False:
            raise CalibrationError(f"The site at {address} failed: {record.status} {record.detail}")
