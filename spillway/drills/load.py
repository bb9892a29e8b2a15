"""Streams whose every token is known, side by side, for as long as a drill lasts."""

import asyncio
import contextlib
import random
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from serving.models.answers import answer, count_prompt
from spillway.client import Client, SpillwayError

STREAMS = 12  # at a time: what two cores serve beside engines, a router and the relay
TOKENS_MIN, TOKENS_MAX = 100, 250
DEADLINE_S = 60.0  # of one stream
AFTER_ERROR_S = 0.2


@dataclass(slots=True)
class Seen:
    """One stream as its client saw it. Times are time.monotonic's, in seconds."""

    begun_s: float
    wanted: str
    text: str = ""
    ended_s: float = 0.0
    arrived_s: list[float] = field(default_factory=list)  # of each message
    error: str = ""
    site: str = ""
    resumed: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether it ended well with every token, once and in order."""
        return not self.error and self.text == self.wanted

    @property
    def is_right(self) -> bool:
        """Whether what came of it is how it should begin: also of one that broke off."""
        return self.wanted.startswith(self.text)

    def pause_s(self, since_s: float) -> float:
        """The longest time between two messages that ended since."""
        pairs = zip(self.arrived_s, self.arrived_s[1:], strict=False)
        return max((after - before for before, after in pairs if after > since_s), default=0.0)


@dataclass(slots=True)
class Heard:
    """All streams, in the order in which they ended."""

    streams: list[Seen] = field(default_factory=list)

    def between(self, since_s: float, until_s: float) -> list[Seen]:
        """Those that were begun between two times."""
        return [one for one in self.streams if since_s < one.begun_s < until_s]

    @property
    def errors(self) -> Counter[str]:
        """Why streams broke, and how many each."""
        return Counter(one.error for one in self.streams if one.error)


@contextlib.asynccontextmanager
async def load(client: Client, rng: random.Random, streams: int = STREAMS) -> AsyncIterator[Heard]:
    """Load for as long as the block lasts; what is under way then is heard out."""
    heard, over = Heard(), asyncio.Event()
    workers = [
        asyncio.create_task(_work(client, random.Random(rng.random()), heard, over))
        for _ in range(streams)
    ]
    try:
        yield heard
    finally:
        over.set()
        await asyncio.gather(*workers)


async def _work(client: Client, rng: random.Random, heard: Heard, over: asyncio.Event) -> None:
    while not over.is_set():
        seen = await listen(client, rng.randrange(1000), rng.randint(TOKENS_MIN, TOKENS_MAX))
        heard.streams.append(seen)
        if seen.error:
            await asyncio.sleep(AFTER_ERROR_S)


async def listen(client: Client, start: int, tokens: int) -> Seen:
    """Have it count from a number, and hear the answer out."""
    prompt = count_prompt(start, before=f"{uuid.uuid4().hex}\n")  # no cache answers for another
    seen = Seen(time.monotonic(), answer(prompt, tokens).text)
    stream = client.stream(
        prompt,
        temperature=0.0,
        max_new_tokens=tokens,
        ignore_eos=True,
        session=uuid.uuid4().hex,
        deadline_s=DEADLINE_S,
    )
    try:
        async with stream:
            async for chunk in stream:
                seen.text += chunk.text
                seen.arrived_s.append(time.monotonic())
        ending = stream.ending
    except SpillwayError as error:
        seen.error, ending = f"{error.code.name}: {error}"[:200], error.ending
    seen.ended_s = time.monotonic()
    if ending is not None:
        seen.site, seen.resumed = ending.site, ending.resumed
    return seen
