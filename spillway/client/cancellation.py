"""Who cancelled: the task that waits, or the call that it waits for."""

import asyncio


def task_is_cancelled() -> bool:
    """Whether it is the task that was; else asyncio.CancelledError comes from its call."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
