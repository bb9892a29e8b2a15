"""Asks vLLM's process for something without waiting for the answer of a dead one."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from vllm.v1.engine.async_llm import AsyncLLM

from serving.engine import EngineDeadError

T = TypeVar("T")

LOOK_S = 0.5
"""How late the death of vLLM's process may be noticed."""


async def while_alive(llm: AsyncLLM, asking: Coroutine[Any, Any, T]) -> T:
    """What comes of something that is asked of vLLM's process. Raises EngineDeadError.

    VLLM does not answer what it was asked before it died, and whoever asked would wait for ever.
    """
    answer = asyncio.create_task(asking)
    try:
        while not answer.done():
            await asyncio.wait({answer}, timeout=LOOK_S)
            if llm.errored and not answer.done():
                raise EngineDeadError
        return await answer
    finally:
        answer.cancel()
