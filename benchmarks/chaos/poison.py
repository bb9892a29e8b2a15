"""A request that kills the engine which serves it, sent again and again by a stubborn client."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import grpc.aio

from benchmarks.chaos.scene import Scene
from benchmarks.chaos.stream import CHANNEL_OPTIONS, Question, listen

POISON = "poison-7319"
TIMES = 6
DEADLINE_S = 20.0
CRASHES_MAX = 3  # two make it a suspect, and a third tells it from what ran beside it in both
LOOK_S = 1.0  # as Serve looks after its replicas


async def send_poison(scene: Scene) -> None:
    """Send it `TIMES` times, and note how many engines it killed and how it was answered."""
    question = Question(f"{POISON} count from 7", tuple(b" 8 9 10"), " 8 9 10")
    answers = []
    before = scene.near.restarts + scene.far.restarts
    async with (
        _supervised(scene),
        grpc.aio.insecure_channel(scene.router.address, CHANNEL_OPTIONS) as channel,
    ):
        for _ in range(TIMES):
            seen = await listen(channel, question, DEADLINE_S)
            answers.append(seen.status)
    killed = scene.near.restarts + scene.far.restarts - before
    scene.notes.append(
        f"sent {TIMES} times it killed {killed} engines, and was answered {', '.join(answers)}"
    )
    if killed > CRASHES_MAX:
        scene.broken.append(f"one poison request killed {killed} engines")


@contextlib.asynccontextmanager
async def _supervised(scene: Scene) -> AsyncIterator[None]:
    """Dead engines are started again within seconds, as Serve does with its replicas."""
    over = asyncio.Event()

    async def look() -> None:
        while not over.is_set():
            await scene.mend(scene.near)
            await scene.mend(scene.far)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await over.wait()

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        over.set()
        await looking
        await scene.mend(scene.near)
        await scene.mend(scene.far)
