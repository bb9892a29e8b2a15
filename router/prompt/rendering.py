"""Chat templates in processes of their own, which end when a template takes too much.

A template is a program of whoever serves the model, over messages of whoever asks. Jinja's sandbox
bounds what it may touch, and nothing that is counted from within bounds its time: two lists that
contain each other's halves forty times over are compared by one instruction of Python's, which
takes for ever and lets no other thread run meanwhile. So what bounds it is the kernel: a process
has so much CPU and memory for each prompt, and none of this one's secrets. Costs: a process of some
30 MB while there are chats, and a fraction of a millisecond for each.
"""

import asyncio
import contextlib
import json
import logging
import os
import sys
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

from router.prompt.chat_template import ChatTemplate, ChatTemplateError, Message
from router.prompt.limits import CPU_S, LENGTH_BYTES, MEMORY_BYTES, REPLY_BYTES_MAX
from wire.status import overloaded

PROCESSES_MAX: Final = 2
"""Templates that run at a time: one of them is kept for those who have not taken too much."""

WAITING_MAX: Final = 1_000
"""Chats that wait for their prompt."""

WAITING_BYTES_MAX: Final = 256 * 1024 * 1024
"""Of them together, as JSON: five of the longest, which have 16 MiB of text that is not ASCII."""

WALL_S: Final = 10.0
"""For what has CPU_S of CPU, on a busy machine; and for a turn."""

_STRUCK_MAX: Final = 1_000
_ROOT: Final = Path(__file__).parents[2]
_COMMAND: Final = (sys.executable, "-P", "-s", "-m", "router.prompt.worker")
_RETRY_NS: Final = 1_000_000_000

Render = Callable[[ChatTemplate, Sequence[Message], Mapping[str, Any]], Awaitable[str]]
"""A prompt by a template of messages and variables; raises ChatTemplateError."""

_log = logging.getLogger(__name__)


class Renderer:
    """Renders for one event loop. Its processes begin with the first prompt."""

    def __init__(self, cpu_s: float = CPU_S, command: Sequence[str] = _COMMAND) -> None:
        """`command` is what runs in the processes; it is given the CPU of a prompt, in seconds."""
        self._cpu_s = cpu_s
        self._command = (*command, str(cpu_s))
        self._idle: list[asyncio.subprocess.Process] = []
        self._all = asyncio.Semaphore(PROCESSES_MAX)
        self._of_struck = asyncio.Semaphore(PROCESSES_MAX - 1)
        self._struck: OrderedDict[bytes, None] = OrderedDict()
        self._waiting = self._bytes = 0
        self._tasks: set[asyncio.Task[str]] = set()
        self._running: set[asyncio.Task[str] | None] = set()  # those of them that have a process

    async def render(
        self,
        owner: str,
        template: ChatTemplate,
        messages: Sequence[Message],
        variables: Mapping[str, Any],
    ) -> str:
        """The prompt. `owner` is whose the messages are.

        Raises ChatTemplateError, also where it takes too much, and CallError where too many wait.
        """
        if self._waiting >= WAITING_MAX:
            raise overloaded(f"{self._waiting} chats wait for their prompts", _RETRY_NS)
        key = blake2b(f"{owner}\0{template.source}".encode("utf-8", "surrogatepass")).digest()
        asked = {
            "template": [template.source, template.bos_token, template.eos_token],
            "messages": list(messages),
            "variables": dict(variables),
        }
        body = await asyncio.to_thread(lambda: json.dumps(asked).encode())
        if self._waiting and self._bytes + len(body) > WAITING_BYTES_MAX:
            raise overloaded("the chats that wait for their prompts are too large", _RETRY_NS)
        task = asyncio.create_task(self._in_turn(key, body), name="prompt")
        self._tasks.add(task)
        self._waiting += 1
        self._bytes += len(body)
        task.add_done_callback(partial(self._over, len(body)))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            # A client that goes leaves its prompt to be made, where that has begun: to end the
            # process would cost more. What waits is nobody's any longer, and up to 16 MiB.
            if task not in self._running:
                task.cancel()
            raise

    async def close(self) -> None:
        """Ends the processes."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for process in self._idle:
            await _end(process)
        self._idle.clear()

    async def _in_turn(self, key: bytes, body: bytes) -> str:
        """Who has taken too much before waits for others like it, and for nobody else's turn."""
        try:
            async with contextlib.AsyncExitStack() as turns:
                try:
                    async with asyncio.timeout(WALL_S):
                        if key in self._struck:
                            await turns.enter_async_context(self._of_struck)
                        await turns.enter_async_context(self._all)
                except TimeoutError:
                    raise overloaded("too many chats wait for their prompts", _RETRY_NS) from None
                self._running.add(asyncio.current_task())
                return await self._run(key, body)
        finally:
            self._running.discard(asyncio.current_task())

    async def _run(self, key: bytes, body: bytes) -> str:
        while True:
            # One that somebody else ended meanwhile, for its memory for example, is nobody's fault.
            self._idle = [one for one in self._idle if one.returncode is None]
            is_new = not self._idle
            process = await self._started() if is_new else self._idle.pop()
            answer = None
            try:
                async with asyncio.timeout(WALL_S):
                    answer = await _exchange(process, body)
            except (TimeoutError, OSError, asyncio.IncompleteReadError):
                pass
            finally:
                if answer is None:
                    await _end(process)
            if answer is not None:
                self._idle.append(process)
                return await _text_of(answer)
            if is_new or process.returncode != 0:  # one that had grown large ends by itself
                break
        self._struck[key] = None
        self._struck.move_to_end(key)
        if len(self._struck) > _STRUCK_MAX:
            self._struck.popitem(last=False)
        _log.warning("a chat template was ended with status %s", process.returncode)
        memory = MEMORY_BYTES // 1024**2
        raise ChatTemplateError(
            f"the chat template takes more than {self._cpu_s} s or {memory} MiB for these messages"
        )

    async def _started(self) -> asyncio.subprocess.Process:
        kept = {name: os.environ[name] for name in ("TZ", "PATH") if name in os.environ}
        return await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={**kept, "PYTHONPATH": str(_ROOT)},
        )

    def _over(self, size: int, task: asyncio.Task[str]) -> None:
        self._waiting -= 1
        self._bytes -= size
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it


async def _exchange(process: asyncio.subprocess.Process, body: bytes) -> bytes:
    """Raises OSError, IncompleteReadError where the process ends meanwhile."""
    if process.stdin is None or process.stdout is None:
        raise OSError("it has no pipes")
    process.stdin.write(len(body).to_bytes(LENGTH_BYTES, "big") + body)
    await process.stdin.drain()
    length = int.from_bytes(await process.stdout.readexactly(LENGTH_BYTES), "big")
    if length > REPLY_BYTES_MAX:
        raise OSError("it answers with more than it may")
    return await process.stdout.readexactly(length)


async def _text_of(answer: bytes) -> str:
    said = await asyncio.to_thread(json.loads, answer)
    if "text" in said:
        text: str = said["text"]
        return text
    raise ChatTemplateError(said["refusal"])


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends a process, and waits until it has."""
    if process.stdin is not None:
        process.stdin.close()
    if process.returncode is None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):  # one that has ended by itself says how
                await process.wait()
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
