"""Work beside the calls: tasks that run until they are ended, and are heard of if they fail."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

Work = Coroutine[Any, Any, None]

_log = logging.getLogger(__name__)


def begin(work: Work, name: str) -> asyncio.Task[None]:
    """Runs work as a task. A failure is a defect: it is logged, because nobody awaits the task."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(_log_failure)
    return task


async def end(task: asyncio.Task[None]) -> None:
    """Cancels a task and waits until it has gone."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("%s failed", task.get_name(), exc_info=task.exception())
