"""A request that kills the engine which serves it, sent again and again by a stubborn client."""

import asyncio

import grpc.aio

from benchmarks.chaos.scene import Scene
from benchmarks.chaos.stream import CHANNEL_OPTIONS, Question, listen

POISON = "poison-7319"
TIMES = 4
DEADLINE_S = 10.0
CRASHES_MAX = 2  # after so many a request is known for what it is


async def send_poison(scene: Scene) -> None:
    """Send it `TIMES` times, and note how many engines it killed and how it was answered."""
    question = Question(f"{POISON} count from 7", tuple(b" 8 9 10"), " 8 9 10")
    answers = []
    async with grpc.aio.insecure_channel(scene.router.address, CHANNEL_OPTIONS) as channel:
        for _ in range(TIMES):
            seen = await listen(channel, question, DEADLINE_S)
            answers.append(seen.status)
    alive = [await asyncio.to_thread(site.alive) for site in (scene.near, scene.far)]
    killed = scene.replicas - sum(alive)
    scene.notes.append(
        f"sent {TIMES} times it killed {killed} of {scene.replicas} engines,"
        f" and was answered {', '.join(answers)}"
    )
    if killed > CRASHES_MAX:
        scene.broken.append(f"one poison request killed {killed} engines")
