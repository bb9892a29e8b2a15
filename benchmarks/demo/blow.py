"""The blow in the middle of the story: one of the rented engines is killed while it streams."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.chaos.ray_site import engine_pids
from benchmarks.demo.story import SURGE
from benchmarks.demo.watch import FleetWatch
from benchmarks.serving.record import Record
from spillway.local.site import LocalSite

RENTED_REPLICAS = 2  # one to be killed, and one where its streams go on
AT_S = SURGE.begins_s + 0.6 * SURGE.duration_s
STREAMS_MIN = 3  # under way at each rented engine, so that the blow falls upon some
LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Blow:
    """When it came, and to what."""

    at_s: float
    site: str


async def strike(site: LocalSite, watch: FleetWatch, clock: Callable[[], float]) -> Blow:
    """SIGKILL to an engine of this site in the surge's middle; Serve starts another in its place.

    `clock` gives the story's offset in seconds.
    """
    await asyncio.sleep(max(0.0, AT_S - clock()))
    pids = await asyncio.to_thread(engine_pids, site)
    while not _streams(watch, site.name) and clock() < SURGE.ends_s:  # noqa: ASYNC110 - few looks
        await asyncio.sleep(LOOK_S)
    os.kill(pids[0], signal.SIGKILL)
    return Blow(clock(), site.name)


def _streams(watch: FleetWatch, name: str) -> bool:
    """Whether every engine of the site says that what it runs has its first token."""
    ends = [end for site in watch.state.sites if site.name == name for end in site.endpoints]
    return bool(ends) and all(
        end.running_requests >= STREAMS_MIN and end.queued_prefill_tokens == 0 for end in ends
    )


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
