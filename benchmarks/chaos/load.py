"""The load while a fault lasts: so many checked streams at a time, and short ones in steady rhythm.

The long streams are what must not break. The short ones, `probes`, begin every `probe_interval_s`
whatever becomes of the others: they show when new requests avoid what is dead.
"""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field

from benchmarks.chaos.stream import Question, Seen
from benchmarks.workloads.prompts import filler
from serving.models.answers import answer, count_prompt, recite_prompt

Ask = Callable[[Question], Awaitable[Seen]]

PROBE_TOKENS = 8
RECITED = 8  # one in so many asks for the passage, whose characters have up to four bytes
AFTER_ERROR_S = 0.1  # a client that failed does not come back at once
PROMPT_CHARACTERS = 64


@dataclass(frozen=True, slots=True)
class Size:
    """How much load, and of what length."""

    streams: int = 24  # at a time
    tokens_min: int = 100
    tokens_max: int = 400
    probe_interval_s: float = 0.05
    streams_min: int = 0  # in all; the load goes on for longer where fewer have been begun


@dataclass(slots=True)
class Heard:
    """All that the clients saw, in the order in which it ended."""

    streams: list[Seen] = field(default_factory=list)
    probes: list[Seen] = field(default_factory=list)


def questions(
    rng: random.Random, tokens_min: int, tokens_max: int, *, recites: bool
) -> Iterator[Question]:
    """Questions without end, each with a context of its own so that no cache answers for another.

    `recites` tells that the engine knows the passage; one that only counts does not.
    """
    for number in itertools.count(1):
        before = filler(f"{rng.random()}", PROMPT_CHARACTERS)
        prompt = count_prompt(rng.randrange(1000), before=f"{before}\n")
        if recites and number % RECITED == 0:
            prompt = recite_prompt(before=f"{before}\n")
        known = answer(prompt, rng.randint(tokens_min, tokens_max))
        yield Question(prompt, tuple(known.token_ids), known.text)


@contextlib.asynccontextmanager
async def load(ask: Ask, size: Size, rng: random.Random, *, recites: bool) -> AsyncIterator[Heard]:
    """Load for as long as the block lasts; what is under way then is heard out."""
    heard, over = Heard(), asyncio.Event()
    plan = questions(rng, size.tokens_min, size.tokens_max, recites=recites)
    # Not a task group: what a fault raises within the block is to be seen as it is.
    workers = [
        asyncio.create_task(_work(ask, plan, heard.streams, over)) for _ in range(size.streams)
    ]
    probing = asyncio.create_task(_probe(ask, rng, heard.probes, over, size.probe_interval_s))
    try:
        yield heard
    finally:
        over.set()
        await asyncio.gather(*workers, probing)


async def _work(ask: Ask, plan: Iterator[Question], heard: list[Seen], over: asyncio.Event) -> None:
    while not over.is_set():
        seen = await ask(next(plan))
        heard.append(seen)
        if seen.status != "OK":
            await asyncio.sleep(AFTER_ERROR_S)


async def _probe(
    ask: Ask, rng: random.Random, heard: list[Seen], over: asyncio.Event, interval_s: float
) -> None:
    plan = questions(rng, PROBE_TOKENS, PROBE_TOKENS, recites=False)

    async def one() -> None:
        heard.append(await ask(next(plan)))

    async with asyncio.TaskGroup() as group:
        while not over.is_set():
            group.create_task(one())
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval_s):
                    await over.wait()
