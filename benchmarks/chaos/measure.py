"""One fault under load, from a healthy scene to a clean one: what the clients saw of it."""

import asyncio
import contextlib
import itertools
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from benchmarks.chaos.faults import Fault
from benchmarks.chaos.load import Ask, Heard, Size, load
from benchmarks.chaos.mode import Mode
from benchmarks.chaos.scene import NEAR, Scene
from benchmarks.chaos.stream import Seen, listen, listen_with
from benchmarks.serving.summary import quantile
from spillway.client import Client

DEADLINE_S = 60.0  # of one stream
WARM_S = 2.0  # streams are well under way on both sites
AFTER_S = 1.5  # load goes on for so long after the heal,
MORE_S = 15.0  # and for so much longer at most, where too few streams have ended
LOOK_S = 0.1


@dataclass(frozen=True, slots=True)
class Result:
    """A row of the table. Tokens counted over all streams and probes; times in seconds."""

    fault: str
    streams: int
    probes: int
    resumed: int
    lost: int
    repeated: int
    wrong: int
    errors: dict[str, int]
    error_detail: str
    pause_p50_s: float
    pause_p99_s: float
    pause_p99_max_s: float | None
    silence_max_s: float  # the longest between two tokens of any stream, resumed or not
    avoided_after_s: float  # the last new request that met the dead part began so long after
    failed_attempts_max: int  # of one new request
    left: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)  # sentences on what must not be

    @property
    def is_exact(self) -> bool:
        """Whether every token that anybody was given was right, once and in order."""
        return not (self.lost or self.repeated or self.wrong)


@contextlib.asynccontextmanager
async def _asking(scene: Scene) -> AsyncIterator[Ask]:
    """How questions are asked: plainly, or with the client library where it has its part in it.

    That is where there are two routers, and where streams come from the engines themselves.
    """
    direct = scene.mode is Mode.DIRECT
    if scene.spare is None and not direct:
        channels = itertools.cycle(scene.channels)
        yield lambda question: listen(next(channels), question, DEADLINE_S)
        return
    routers = [one.address for one in (scene.router, scene.spare) if one is not None]
    async with Client(routers, direct=direct) as client:
        yield lambda question: listen_with(client, question, DEADLINE_S)


async def measure(fault: Fault, scene: Scene, size: Size, rng: random.Random) -> Result:
    """Prepare, load, strike, hold, heal, and hear every stream out."""
    await fault.prepare(scene)
    await scene.until_healthy()
    if fault.fill:
        await scene.set_drained(NEAR, drained=True)
    async with (
        _asking(scene) as ask,
        load(ask, size, rng, recites=scene.recites) as heard,
    ):
        await _warm(fault, scene)
        struck_s = time.monotonic()
        await fault.strike(scene)
        await asyncio.sleep(fault.hold_s)
        healed_s = time.monotonic()
        await fault.heal(scene)
        await asyncio.sleep(AFTER_S)
        await _enough(heard, size)
    await fault.clean(scene)
    found = result_of(fault, scene.dead, heard.streams, heard.probes, struck_s, healed_s)
    found.notes.extend(scene.notes)
    found.broken.extend(scene.broken)
    scene.dead = ""
    scene.notes.clear()
    scene.broken.clear()
    return found


async def _enough(heard: Heard, size: Size) -> None:
    """Until so many streams have ended as are wanted, less those that are under way."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(MORE_S):
            while len(heard.streams) + size.streams < size.streams_min:  # noqa: ASYNC110 - a list
                await asyncio.sleep(LOOK_S)


async def _warm(fault: Fault, scene: Scene) -> None:
    """Until streams are well under way, where they are to be struck."""
    if fault.fill:
        await asyncio.sleep(WARM_S / 2)
        await scene.set_drained(NEAR, drained=False)
        await asyncio.sleep(WARM_S / 2)
    else:
        await asyncio.sleep(WARM_S)


def result_of(
    fault: Fault,
    dead: str,
    streams: Sequence[Seen],
    probes: Sequence[Seen],
    struck_s: float,
    healed_s: float,
) -> Result:
    """The row that these streams and probes make."""
    everything = [*streams, *probes]
    differences = [seen.difference for seen in everything]
    failed = [seen for seen in everything if seen.status != "OK"]
    pauses = [seen.pause_s(struck_s) for seen in everything if seen.resumed]
    new = [seen for seen in everything if struck_s < seen.begun_s < healed_s]
    met = [seen.begun_s - struck_s for seen in new if _met(seen, dead)]
    return Result(
        fault=fault.name,
        streams=len(streams),
        probes=len(probes),
        resumed=sum(seen.resumed > 0 for seen in everything),
        lost=sum(one.lost for one in differences),
        repeated=sum(one.repeated for one in differences),
        wrong=sum(one.wrong for one in differences),
        errors=dict(Counter(seen.status for seen in failed)),
        error_detail=_told(failed[0]) if failed else "",
        pause_p50_s=quantile(pauses, 0.5),
        pause_p99_s=quantile(pauses, 0.99),
        pause_p99_max_s=fault.pause_p99_max_s,
        silence_max_s=max((seen.pause_s(struck_s) for seen in everything), default=0.0),
        avoided_after_s=max(met, default=0.0),
        failed_attempts_max=max((max(0, seen.attempts - 1) for seen in new), default=0),
    )


def _told(seen: Seen) -> str:
    """An error with what its client had by then."""
    wanted = len(seen.question.wanted)
    waited_s = seen.ended_s - seen.begun_s
    return f"{seen.detail} (after {len(seen.token_ids)} of {wanted} tokens in {waited_s:.1f} s)"


def _met(seen: Seen, dead: str) -> bool:
    """Whether a new request met the dead part: it failed there first, or was still sent there."""
    sent_there = bool(dead) and seen.endpoint.startswith(dead)
    return seen.attempts > 1 or seen.status != "OK" or sent_there
