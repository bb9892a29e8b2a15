"""The blow in the middle of the story: one of the rented engines is killed while it streams."""

import asyncio
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.chaos.ray_site import engine_pids
from benchmarks.demo.story import SURGE
from benchmarks.serving.record import Record
from spillway.local.site import LocalSite

RENTED_REPLICAS = 2  # one to be killed, and one where its streams go on
AT_S = SURGE.begins_s + 0.6 * SURGE.duration_s


@dataclass(frozen=True, slots=True)
class Blow:
    """When it came, and to what."""

    at_s: float
    site: str


async def strike(site: LocalSite, after_s: float) -> Blow:
    """SIGKILL to an engine of this site after so long; Serve starts another in its place."""
    await asyncio.sleep(after_s)
    pids = await asyncio.to_thread(engine_pids, site)
    os.kill(pids[0], signal.SIGKILL)
    return Blow(after_s, site.name)


@dataclass(frozen=True, slots=True)
class Harm:
    """What clients saw of it."""

    resumed: int
    lost_tokens: int
    pause_s_max: float


def harm(records: Sequence[Record]) -> Harm:
    """Over all turns of the story."""
    resumed = [record for record in records if record.resumed]
    return Harm(
        resumed=len(resumed),
        # A turn that was refused had no stream that could lose any.
        lost_tokens=sum(record.lost_tokens for record in records if record.ttft_s is not None),
        pause_s_max=max((max(record.gaps_s, default=0.0) for record in resumed), default=0.0),
    )
