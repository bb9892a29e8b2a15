"""A process's end of the pipe to its supervisor. Through it the fleet file is read again."""

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Final, assert_never

from router.live import background
from router.live.reloading import Reloaded, ReloadError
from spillway.reloading import Changed, reading_of
from spillway.workers.words import (
    Answer,
    AskReload,
    Commit,
    FromProcess,
    FromSupervisor,
    Prepare,
    Signalled,
    Told,
)

if TYPE_CHECKING:
    from router.live.fleet_change import Ready

_RELOAD_S: Final = 120.0
"""What a reload may take: each process reads its files and certificates."""

_log = logging.getLogger(__name__)


class Line:
    """See `router.live.reloading.Reloads`: the supervisor reads the file, for all processes."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Told]] = {}
        self._ready: Ready | None = None
        self._signalled: set[asyncio.Task[None]] = set()
        self.changed: Changed | None = None
        self.on_signal: Callable[[], Awaitable[object]] | None = None

    def say(self, word: FromProcess) -> None:
        """Tells the supervisor, if it is still there."""
        with contextlib.suppress(OSError):
            self._pipe.send(word)

    def listen(self) -> None:
        """Begins to hear the supervisor."""
        asyncio.get_running_loop().add_reader(self._pipe.fileno(), self._hear)

    def close(self) -> None:
        """Hears nothing more."""
        with contextlib.suppress(OSError, ValueError):
            asyncio.get_running_loop().remove_reader(self._pipe.fileno())
        self._pipe.close()

    async def reload(self, *, dry_run: bool) -> Reloaded:
        """See Reloads."""
        number = next(self._numbers)
        told: asyncio.Future[Told] = asyncio.get_running_loop().create_future()
        self._asked[number] = told
        try:
            self.say(AskReload(number, dry_run))
            async with asyncio.timeout(_RELOAD_S):
                said = await told
        except TimeoutError:
            raise ReloadError("the supervisor does not answer") from None
        finally:
            del self._asked[number]
        if said.reloaded is None:
            raise ReloadError(said.problem)
        return said.reloaded

    def _hear(self) -> None:
        try:
            word: FromSupervisor = self._pipe.recv()
        except (EOFError, OSError):
            self.close()
            return
        match word:
            case Prepare():
                self.say(Answer(word.number, self._prepare(word)))
            case Commit(number):
                self.say(Answer(number, self._commit()))
            case Told(number):
                asked = self._asked.get(number)
                if asked is not None and not asked.done():
                    asked.set_result(word)
            case Signalled():
                self._be_signalled()
            case _:
                assert_never(word)

    def _prepare(self, word: Prepare) -> str:
        self._ready = None
        if self.changed is None:
            return "it has not begun"
        try:
            self._ready = self.changed.prepare(reading_of(word.file))
        except ReloadError as error:
            return str(error)
        return ""

    def _commit(self) -> str:
        ready, self._ready = self._ready, None
        if ready is None or self.changed is None:
            return "nothing is prepared"
        self.changed.apply(ready)
        return ""

    def _be_signalled(self) -> None:
        if self.on_signal is not None:
            task = background.begin(_awaited(self.on_signal()), "reload")
            self._signalled.add(task)
            task.add_done_callback(self._signalled.discard)


async def _awaited(what: Awaitable[object]) -> None:
    await what
