"""Clients that misbehave: they stop reading, cancel, or vanish with their connection."""

import asyncio
import contextlib
import random
from typing import Any

import grpc.aio

from benchmarks.chaos.load import questions
from benchmarks.chaos.scene import Scene
from benchmarks.chaos.stream import CHANNEL_OPTIONS, METHOD, request_for
from benchmarks.dataplane.process import resident_bytes
from spillway.local.relay import Relay

COUNT = 12  # of each kind
TOKENS = 4_000  # more than any buffer on the way would hide, and long enough to be left
READ_FIRST = 3  # messages that each reads before it misbehaves
HOLD_S = 4.0
MEMORY_MIB_MAX = 64.0  # far below what unbounded buffers of these answers would take


async def misbehave(scene: Scene) -> None:
    """A dozen of each kind, for some seconds; notes what the router's memory did meanwhile."""
    before_mib = resident_bytes(scene.router.pid) / 2**20
    async with contextlib.AsyncExitStack() as stack:
        relay = await stack.enter_async_context(Relay(scene.router.address))
        steady, vanishing = [
            await stack.enter_async_context(grpc.aio.insecure_channel(address, CHANNEL_OPTIONS))
            for address in (scene.router.address, relay.address)
        ]
        slow, leaving = await _begin(steady), await _begin(steady)
        gone = await _begin(vanishing)
        for call in leaving:
            call.cancel()
        relay.reset()
        await asyncio.sleep(HOLD_S)
        grown_mib = resident_bytes(scene.router.pid) / 2**20 - before_mib
        for call in [*slow, *gone]:
            call.cancel()
    scene.notes.append(
        f"{COUNT} clients stopped reading, {COUNT} cancelled, {COUNT} vanished:"
        f" the router grew by {max(0.0, grown_mib):.0f} MiB"
    )
    if grown_mib > MEMORY_MIB_MAX:
        scene.broken.append(f"the router grew by {grown_mib:.0f} MiB")


async def _begin(channel: grpc.aio.Channel) -> list[Any]:
    plan = questions(random.Random(0), TOKENS, TOKENS, recites=False)
    method = channel.unary_stream(METHOD)
    calls = [method(request_for(next(plan))) for _ in range(COUNT)]
    for call in calls:
        for _ in range(READ_FIRST):
            await call.read()
    return calls
