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

IDLE_TURNS = 4  # the first warms up and is not counted
BUSY_TURNS_PER_SLOT = 2
OUTPUT_TOKENS = 24
DEADLINE_S = 60.0


class CalibrationError(Exception):
    """A site did not answer; the message says how."""


async def calibrate(home: str, rented: str, home_slots: int, prompter: Prompter) -> Calibration:
    """Measure the sites at these addresses (host:port), one stream first and then all at once.

    Raises:
        CalibrationError: a stream failed or was wrong.
    """
    idle = await _drive(home, 1, IDLE_TURNS, prompter)
    turns = BUSY_TURNS_PER_SLOT * home_slots
    busy, _ = await asyncio.gather(
        _drive(home, home_slots, turns, prompter),
        _drive(rented, home_slots, turns, prompter),
    )
    return Calibration(
        home_slots=home_slots,
        idle_ttft_s=quantile([r.ttft_s for r in idle[1:] if r.ttft_s is not None], 0.5),
        busy_itl_s=quantile([r.time_per_output_token_s or 0.0 for r in busy], 0.5),
    )


async def _drive(address: str, concurrency: int, turns: int, prompter: Prompter) -> list[Record]:
    records: list[Record] = []
    shape = Shape(prompt_tokens=PROMPT_TOKENS, output_tokens=OUTPUT_TOKENS)
    rng = random.Random(time.time_ns())
    plan = sessions(itertools.repeat(0.0), shape, rng=rng, duration_s=math.inf)
    async with connected(address, deadline_s=DEADLINE_S) as target:
        driver = Driver(target, prompter, records.append)
        await driver.closed_loop(itertools.islice(plan, turns), concurrency)
    _require_right(records, address)
    return records


def _require_right(records: Sequence[Record], address: str) -> None:
    for record in records:
        if record.status != "OK" or record.right is False:
            raise CalibrationError(f"{address}: {record.status} {record.detail}")
