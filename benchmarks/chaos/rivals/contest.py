"""A kill and a hang behind each router that is installed, ours among them."""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from benchmarks.chaos.rivals.answer import Answer, Ask
from benchmarks.chaos.rivals.backend import MODEL
from benchmarks.chaos.rivals.contestants import RIVALS, Rival, installed, serving
from benchmarks.chaos.rivals.ours import our_router
from benchmarks.chaos.scene import signal_all
from benchmarks.dataplane.process import running
from benchmarks.report import Table, print_table
from benchmarks.rival_program import MissingError

STREAMS, TOKENS = 20, 200  # four seconds each
PROBE_TOKENS, PROBE_EVERY_S = 4, 0.1
WARM_S, HOLD_S = 1.0, 5.0
SLOW_S = 1.0  # a new request that waits longer for its first token has met the dead backend
DEADLINE_S = 30.0
FAULTS = {"killed": signal.SIGKILL, "hangs": signal.SIGSTOP}


@dataclass(frozen=True, slots=True)
class Row:
    """One router under one fault."""

    router: str
    fault: str
    streams: int
    cut: int
    hung: int  # streams that were silent for at least as long as the fault lasted
    silence_max_s: float
    new_requests: int
    new_failed: int
    new_slow: int
    avoided_after_s: float


def show(rows: Sequence[Row], missing: Sequence[str]) -> Table:
    """Print a row for each router and fault, and who was not there."""
    shown = print_table(
        "One of two backends dies, or hangs",
        (
            *("router", "fault", "streams", "cut", "hung", "longest silence s"),
            *("new requests", "failed", "slow", "avoided after s"),
        ),
        [
            [
                *(row.router, row.fault, str(row.streams), str(row.cut), str(row.hung)),
                f"{row.silence_max_s:.2f}",
                *(str(n) for n in (row.new_requests, row.new_failed, row.new_slow)),
                f"{row.avoided_after_s:.1f}",
            ]
            for row in rows
        ],
    )
    for sentence in missing:
        print(f"missing: {sentence}")
    return shown


async def contest(programs: Path | None) -> tuple[list[Row], list[str]]:
    """A row for each router and fault, and a sentence for each rival that is not there."""
    ours: list[Row] = []
    for fault, number in FAULTS.items():
        async with our_router() as (ask, pid):
            ours.append(await _measure("spillway", fault, number, ask, pid))
    rows, missing = await of_rivals(programs)
    return [*ours, *rows], missing


async def of_rivals(programs: Path | None) -> tuple[list[Row], list[str]]:
    """The same without ours."""
    rows: list[Row] = []
    missing: list[str] = []
    for rival in RIVALS:
        try:
            installed(rival, programs)  # before any backend is started for it
            for fault, number in FAULTS.items():
                async with _behind(rival, programs) as (ask, pid):
                    rows.append(await _measure(rival.name, fault, number, ask, pid))
        except MissingError as error:
            missing.append(str(error))
    return rows, missing


@contextlib.asynccontextmanager
async def _behind(rival: Rival, programs: Path | None) -> AsyncIterator[tuple[Ask, int]]:
    """How to ask the rival, and the process of its first backend."""
    module = "benchmarks.chaos.rivals.backend"
    async with (
        running(module, []) as first,
        running(module, []) as second,
        serving(rival, programs, (first.port, second.port)) as router,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(DEADLINE_S)) as http,
    ):

        async def ask(tokens: int) -> Answer:
            body = {"model": MODEL, "prompt": "count", "max_tokens": tokens, "stream": True}
            answer = Answer(time.monotonic())
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with http.post(
                    f"http://{router.address}/v1/completions", json=body
                ) as response:
                    async for line in response.content:
                        if line.startswith(b"data: {"):
                            answer.tokens_s.append(time.monotonic())
            answer.whole = len(answer.tokens_s) == tokens
            return answer

        try:
            yield ask, first.pid
        finally:
            signal_all([first.pid], signal.SIGCONT)


async def _measure(router: str, fault: str, number: signal.Signals, ask: Ask, pid: int) -> Row:
    """The streams run, the backend is struck, new requests come all the time."""
    sys.stderr.write(f"{router}: a backend {fault}\n")
    async with asyncio.TaskGroup() as group:
        streams = [group.create_task(ask(TOKENS)) for _ in range(STREAMS)]
        await asyncio.sleep(WARM_S)
        struck_s = time.monotonic()
        signal_all([pid], number)
        probes: list[asyncio.Task[Answer]] = []
        while time.monotonic() < struck_s + HOLD_S:
            probes.append(group.create_task(ask(PROBE_TOKENS)))
            await asyncio.sleep(PROBE_EVERY_S)
        if number is signal.SIGSTOP:
            signal_all([pid], signal.SIGCONT)
    seen, new = [task.result() for task in streams], [task.result() for task in probes]
    bad = [one for one in new if not one.whole or one.ttft_s > SLOW_S]
    return Row(
        router,
        fault,
        streams=len(seen),
        cut=sum(not one.whole for one in seen),
        hung=sum(one.silence_s > HOLD_S - 1.0 for one in seen),
        silence_max_s=max(one.silence_s for one in seen),
        new_requests=len(new),
        new_failed=sum(not one.whole for one in new),
        new_slow=sum(one.whole and one.ttft_s > SLOW_S for one in new),
        avoided_after_s=max((one.begun_s - struck_s for one in bad), default=0.0),
    )
