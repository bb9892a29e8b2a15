"""How a replica learns that Ray Serve is stopping it.

Serve waits for every open call before it stops a replica, and tells the replica only afterwards. A
watch of its load never ends by itself, so that without this each stop would take its whole grace
period, and no router would hear why the replica is about to go. Serve has no public hook for it;
its replica object has a flag for subclasses, which is read here and nowhere else.
"""

import asyncio
from collections.abc import Callable

from ray._private.worker import global_worker

POLL_S = 0.2


def is_stopping() -> bool:
    """Whether Serve has begun to stop the replica that this process hosts. False if unknown."""
    return any(
        getattr(getattr(actor, "_replica_impl", None), "_shutting_down", False)
        for actor in global_worker.actors.values()
    )


def follow_draining(drain: Callable[[], None]) -> asyncio.Task[None]:
    """Calls drain once Serve begins to stop this replica."""

    async def follow() -> None:
        while not is_stopping():  # noqa: ASYNC110 - Serve sets a flag, and no event
            await asyncio.sleep(POLL_S)
        drain()

    return asyncio.get_running_loop().create_task(follow())
