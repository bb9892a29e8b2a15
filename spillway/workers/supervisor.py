"""Keeps the workers of one router and their receiver running, and ends them in order.

The supervisor itself does nothing else: it has no gRPC, answers nobody, and so has little to die
of. A process that ends is started again, at once the first time and later the more often it ends.
"""

import asyncio
import contextlib
import functools
import logging
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Final

from router.live.backoff import Backoff
from router.live.reloading import ReloadError
from spillway.fleet import FleetFile
from spillway.workers.all_or_none import AllOrNone, Share
from spillway.workers.port import SharedPort
from spillway.workers.process import receive, work
from spillway.workers.share import share_of
from spillway.workers.words import (
    Answer,
    AskReload,
    Commit,
    Fails,
    FromProcess,
    FromSupervisor,
    Prepare,
    Serves,
    Signalled,
    Told,
)

START_S: Final = 60.0
"""What a process gets to say that it serves: two seconds on an idle machine."""

_WELL_S: Final = 10.0
"""A process that lived for longer may be started again at once."""

_KILL_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 5.0

_spawning = multiprocessing.get_context("spawn")  # with nothing in it of the supervisor's
_log = logging.getLogger(__name__)


class WorkerError(Exception):
    """A process cannot be started; the message is one line."""


@dataclass(slots=True)
class _Kept:
    """One process that is to run, whichever it is right now."""

    name: str
    target: Callable[..., None]
    arguments: tuple[object, ...]
    process: SpawnProcess | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    serves: Serves = field(default_factory=Serves)
    starts: int = 0
    pipe: Connection | None = None  # while it serves
    answer: asyncio.Future[Answer] | None = None
    asked: int = 0  # so often; an answer has the number of its question
    on_asked: Callable[["_Kept", AskReload], None] | None = None

    async def start(self) -> None:
        """Starts it and waits until it serves. Raises WorkerError."""
        self._hang_up()
        ours, theirs = _spawning.Pipe(duplex=True)
        process = _spawning.Process(
            target=self.target, args=(*self.arguments, theirs), name=f"spillway {self.name}"
        )
        self.ended.clear()
        process.start()
        theirs.close()
        self.process, self.starts = process, self.starts + 1
        asyncio.get_running_loop().add_reader(process.sentinel, self._on_end, process)
        said = await _heard(ours)
        if isinstance(said, Serves):
            self.serves, self.pipe = said, ours
            asyncio.get_running_loop().add_reader(ours.fileno(), self._hear)
            return
        ours.close()
        reason = said.reason if isinstance(said, Fails) else "it ended before it served"
        raise WorkerError(f"{self.name} does not start: {reason}")

    @property
    def is_serving(self) -> bool:
        """Whether it is there to be told anything."""
        return self.pipe is not None and not self.ended.is_set()

    def say(self, word: FromSupervisor) -> None:
        """Tells it something. Raises OSError where it has ended."""
        if self.pipe is None:
            raise OSError(f"{self.name} has ended")
        self.pipe.send(word)

    async def ask(self, word: Prepare | Commit, within_s: float) -> Answer:
        """See Process. Its number is given here."""
        self.asked += 1
        self.say(replace(word, number=self.asked))
        self.answer = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(within_s):
            return await self.answer

    def start_with(self, file: FleetFile) -> None:
        """See Process."""
        self.arguments = (file, *self.arguments[1:])

    def kill(self) -> None:
        """See Process."""
        self.send(signal.SIGKILL)

    def _hear(self) -> None:
        if self.pipe is None:
            return
        try:
            word: FromProcess = self.pipe.recv()
        except (EOFError, OSError):
            self._hang_up()
            return
        if isinstance(word, Answer):
            if word.number == self.asked and self.answer is not None and not self.answer.done():
                self.answer.set_result(word)  # another would be one that came too late
        elif isinstance(word, AskReload) and self.on_asked is not None:
            self.on_asked(self, word)

    def _hang_up(self) -> None:
        pipe, self.pipe = self.pipe, None
        if pipe is not None:
            asyncio.get_running_loop().remove_reader(pipe.fileno())
            pipe.close()
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(OSError(f"{self.name} has ended"))

    def send(self, number: signal.Signals) -> None:
        """Passes a signal on."""
        process = self.process
        if process is not None and process.pid is not None and process.is_alive():
            os.kill(process.pid, number)  # it is ours and not joined, so the number is its own

    def _on_end(self, process: SpawnProcess) -> None:
        asyncio.get_running_loop().remove_reader(process.sentinel)
        process.join()
        if process is self.process:
            self._hang_up()
            self.ended.set()

    async def end(self, number: signal.Signals, within_s: float) -> None:
        """Has it end, by force where it takes longer."""
        self.send(number)
        try:
            async with asyncio.timeout(within_s):
                await self.ended.wait()
        except TimeoutError:
            self.send(signal.SIGKILL)
            await self.ended.wait()


class Supervisor:
    """One router of so many workers. `start` it inside a running event loop; it is used once."""

    def __init__(self, file: FleetFile, workers: int) -> None:
        self._file = file
        self._workers = workers
        self._folder = tempfile.TemporaryDirectory(prefix="spillway-")
        self._ports: list[SharedPort] = []
        self._kept: list[_Kept] = []
        self._keeping: list[asyncio.Task[None]] = []
        self._reloads = AllOrNone(file)
        self._reloading: set[asyncio.Task[None]] = set()
        self.port = 0
        self.openai_port: int | None = None
        self.metrics_port: int | None = None

    async def start(self) -> None:
        """Takes the ports and starts all. Raises OSError for a port, WorkerError for the rest."""
        settings = self._file.router
        listen = self._shared(settings.listen)
        self.port = listen.port
        settings = replace(settings, listen=listen.address)
        if settings.openai_listen is not None:
            openai = self._shared(settings.openai_listen)
            self.openai_port = openai.port
            settings = replace(settings, openai_listen=openai.address)
        self._listens = settings.listen, settings.openai_listen
        file = self._here(self._file)
        receiver = f"unix:{Path(self._folder.name) / 'receiver'}"
        first = _Kept("the receiver", receive, (file, receiver))
        workers = [
            _Kept(f"worker {number}", work, (file, self._workers, number, receiver))
            for number in range(self._workers)
        ]
        self._kept = [first, *workers]
        for one in self._kept:
            one.on_asked = self._on_asked
        await asyncio.gather(*(one.start() for one in self._kept))
        self.metrics_port = first.serves.metrics_port
        self._keeping = [asyncio.create_task(_keep(one), name=one.name) for one in self._kept]

    def pids(self) -> dict[str, int]:
        """The processes by name."""
        alive = ((one.name, one.process) for one in self._kept if not one.ended.is_set())
        return {name: process.pid for name, process in alive if process and process.pid}

    async def reload_on_signal(self) -> str:
        """Has a worker reload the router, which writes down that it does, and logs what failed."""
        for one in self._kept[1:]:
            if one.is_serving:
                with contextlib.suppress(OSError):  # it has just ended, and the next may serve
                    one.say(Signalled())
                    return ""
        return "The fleet file is not reloaded: no worker serves."

    def _here(self, file: FleetFile) -> FleetFile:
        """A fleet file with the addresses that this router has got."""
        listen, openai_listen = self._listens
        settings = replace(file.router, listen=listen, openai_listen=openai_listen)
        return replace(file, router=settings)

    def _on_asked(self, asker: _Kept, asked: AskReload) -> None:
        task = asyncio.create_task(self._reload(asker, asked))
        self._reloading.add(task)
        task.add_done_callback(self._reloading.discard)

    async def _reload(self, asker: _Kept, asked: AskReload) -> None:
        first, *workers = self._kept
        # The receiver last: it lists the endpoints of sites that the workers know by then.
        shares = [
            Share(one, self._here, functools.partial(self._of_worker, number))
            for number, one in enumerate(workers)
        ]
        shares.append(Share(first, self._here, self._here))
        try:
            told = Told(asked.number, await self._reloads.reload(shares, dry_run=asked.dry_run))
        except ReloadError as error:
            told = Told(asked.number, None, str(error))
        with contextlib.suppress(OSError):
            asker.say(told)

    def _of_worker(self, number: int, file: FleetFile) -> FleetFile:
        return share_of(self._here(file), self._workers, number)

    async def drain(self) -> None:
        """Lets the workers' streams end, as each of them sees to, and ends all."""
        await self._keep_no_more()
        within_s = self._reloads.file.router.drain_timeout_s + _KILL_S
        await asyncio.gather(*(one.end(signal.SIGTERM, within_s) for one in self._kept[1:]))
        await self.stop()

    async def stop(self) -> None:
        """Ends all at once."""
        await self._keep_no_more()
        started = [one for one in self._kept if one.process is not None]
        await asyncio.gather(*(one.end(signal.SIGINT, _KILL_S) for one in started))
        for port in self._ports:
            port.close()
        self._ports = []
        self._folder.cleanup()

    async def _keep_no_more(self) -> None:
        for task in self._reloading:
            task.cancel()
        await asyncio.gather(*self._reloading, return_exceptions=True)
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        self._keeping = []

    def _shared(self, listen: str) -> SharedPort:
        port = SharedPort(listen)
        self._ports.append(port)
        return port


async def _keep(kept: _Kept) -> None:
    """Starts a process again whenever it ends, until cancelled."""
    backoff, loop = Backoff(0.1, _LONGEST_PAUSE_S), asyncio.get_running_loop()
    begun_s = loop.time()
    while True:
        await kept.ended.wait()
        code = kept.process.exitcode if kept.process is not None else None
        if loop.time() - begun_s >= _WELL_S:
            backoff.reset()
        pause_s = backoff.wait_s()
        _log.warning("%s ended (%s); it is started again in %.1f s", kept.name, code, pause_s)
        await asyncio.sleep(pause_s)
        begun_s = loop.time()
        try:
            await kept.start()
        except WorkerError as error:
            _log.warning("%s", error)
            kept.send(signal.SIGKILL)  # it may hang and not have ended


async def _heard(told: Connection) -> object:
    """The first word of a process; None where it ends without one, or says nothing for long."""
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(told.fileno(), readable.set)
    try:
        async with asyncio.timeout(START_S):
            await readable.wait()
        word: object = told.recv()
    except (TimeoutError, EOFError):
        return None
    else:
        return word
    finally:
        loop.remove_reader(told.fileno())
