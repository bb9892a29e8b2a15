"""Spillway's own router in front of two engines, in the place of a rival."""

import asyncio
import contextlib
import random
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio

from benchmarks.chaos.load import questions
from benchmarks.chaos.opening import SITES, SLO
from benchmarks.chaos.rivals.answer import Answer, Ask
from benchmarks.chaos.rivals.backend import ITL_S
from benchmarks.chaos.scene import NEAR, signal_all
from benchmarks.chaos.stream import CHANNEL_OPTIONS, listen
from router.live.settings import SiteAccess
from router.policy.fleet import Fleet
from spillway.local.engine_site import EngineSite
from spillway.local.router_process import RouterProcess

DEADLINE_S = 30.0


@contextlib.asynccontextmanager
async def our_router() -> AsyncIterator[tuple[Ask, int]]:
    """How to ask it, and the process of its first engine."""
    folder = Path(tempfile.gettempdir()) / f"chaos-{random.SystemRandom().getrandbits(24):06x}"
    arguments = {"model": "counting", "engine": "fake", "fake.itl_s": ITL_S}
    site = EngineSite(NEAR, 2, arguments, folder)
    router: RouterProcess | None = None
    try:
        await asyncio.to_thread(site.wait_until_serving)
        pid = site.engine_pids()[0]
        access = SiteAccess(NEAR, endpoints=tuple(site.addresses()))
        router = RouterProcess(Fleet(SITES[:1], (SLO,), SLO.name), (access,), folder / "router")
        async with grpc.aio.insecure_channel(router.address, CHANNEL_OPTIONS) as channel:
            rng = random.Random(0)

            async def ask(tokens: int) -> Answer:
                question = next(questions(rng, tokens, tokens, recites=False))
                seen = await listen(channel, question, DEADLINE_S)
                right = seen.status == "OK" and seen.difference.is_none
                return Answer(seen.begun_s, seen.arrived_s, right)

            await _until_up(ask)
            yield ask, pid
            signal_all([pid], signal.SIGCONT)
    finally:
        if router is not None:
            await asyncio.to_thread(router.stop)
        await asyncio.to_thread(site.stop)


async def _until_up(ask: Ask) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not (await ask(1)).whole:  # noqa: ASYNC110 - the router tells nobody that it is up
            await asyncio.sleep(0.1)
