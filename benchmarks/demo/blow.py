"""The blow: the rented engine is killed while it streams what home has no room for."""

import asyncio
import math
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.chaos.ray_site import engines_by_port
from benchmarks.demo.story import LOSS, PROMPT_TOKENS
from benchmarks.demo.watch import FleetWatch
from benchmarks.serving.record import Record
from spillway.local.site import LocalSite

STREAMS_MIN = 3  # that have begun at an engine: the blow falls upon some
GIVE_UP_S = LOSS.ends_s + 5.0  # then what the surge left is about to end
LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Blow:
    """When it came, and to what."""

    at_s: float
    site: str


async def strike(site: LocalSite, watch: FleetWatch, clock: Callable[[], float]) -> Blow:
    """SIGKILL to the engine of this site that streams most; Serve starts another in its place.

    It comes in the second surge, as soon as an engine has streams that have begun: one that has
    only prompts loses nothing that could be resumed. `clock` gives the story's offset in seconds.
    """
    await asyncio.sleep(max(0.0, LOSS.begins_s - clock()))
    pids = await asyncio.to_thread(engines_by_port, site)
    while True:
        port, streams = _busiest(watch, site.name)
        wanted = STREAMS_MIN if clock() < LOSS.ends_s else 1
        if port in pids and (streams >= wanted or clock() > GIVE_UP_S):
            os.kill(pids[port], signal.SIGKILL)
            return Blow(clock(), site.name)
        await asyncio.sleep(LOOK_S)


def _busiest(watch: FleetWatch, name: str) -> tuple[int, int]:
    """The port of the site's engine with the most streams that have begun, and how many at least.

    Every prompt of the story has `PROMPT_TOKENS` tokens that no cache knows.
    """
    ends = [end for site in watch.state.sites if site.name == name for end in site.endpoints]
    begun = [
        (end.running_requests - math.ceil(end.queued_prefill_tokens / PROMPT_TOKENS), end.address)
        for end in ends
    ]
    streams, address = max(begun, default=(0, ":0"))
    return int(address.rpartition(":")[2]), streams


@dataclass(frozen=True, slots=True)
class Harm:
    """What clients saw of it."""

    resumed: int
    lost_tokens: int
    pause_s_max: float
    refused: int  # turns that were told to come back later, and did


def harm(records: Sequence[Record]) -> Harm:
    """Over all turns of the story."""
    resumed = [record for record in records if record.resumed]
    return Harm(
        resumed=len(resumed),
        lost_tokens=sum(record.lost_tokens for record in records),
        pause_s_max=max((max(record.gaps_s, default=0.0) for record in resumed), default=0.0),
        refused=sum(record.refused > 0 for record in records),
    )
