"""The processes that a supervisor starts: each begins without gRPC, and says when it serves.

A process ends by itself with its supervisor, however that one ends. It is a session of its own, so
that Ctrl-C reaches it through the supervisor alone.
"""

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Awaitable, Callable
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol

from router.audit.journal import AuditError
from spillway.fleet import FleetFile
from spillway.workers.line import Line
from spillway.workers.share import share_of
from spillway.workers.words import Fails, Serves
from wire.lease_keys import LeaseKeyError
from wire.logs.writing import log_lines


class Part(Protocol):
    """What runs in a process."""

    async def start(self) -> Serves:
        """Begins. Raises OSError or ValueError."""
        ...

    async def drain(self) -> None:
        """Ends when what is open has ended."""
        ...

    async def stop(self) -> None:
        """Ends at once."""
        ...


def work(file: FleetFile, workers: int, number: int, receiver: str, told: Connection) -> None:
    """A worker: one router of the many. `receiver` is the address of the receiver's socket."""
    with log_lines(file.router.log.format):
        _run(lambda line: _worker(share_of(file, workers, number), number, receiver, line), told)


def receive(file: FleetFile, receiver: str, told: Connection) -> None:
    """The receiver: it follows the endpoints, and shows the metrics of all workers."""
    with log_lines(file.router.log.format):
        _run(lambda line: _receiver(file, receiver, line), told)
    parent = parent_process()
    if parent is not None and not parent.is_alive():  # and cannot clean up after itself
        shutil.rmtree(Path(receiver.removeprefix("unix:")).parent, ignore_errors=True)


def _worker(file: FleetFile, number: int, receiver: str, line: Line) -> Part:
    from router.live.router import Router  # noqa: PLC0415 - gRPC begins with the process
    from router.live.settings import Worker  # noqa: PLC0415

    of = Worker(number, receiver)
    router = Router(file.fleet, file.access, file.router, of, line, file.digest)
    line.changed, line.on_signal = router.fleet_change, router.reload_on_signal

    class _Worker:
        async def start(self) -> Serves:
            await router.start()
            return Serves(openai_port=router.openai_port)

        async def drain(self) -> None:
            await router.drain()

        async def stop(self) -> None:
            await router.stop(0)

    return _Worker()


def _receiver(file: FleetFile, address: str, line: Line) -> Part:
    from router.live.host_receiver import Receiver  # noqa: PLC0415 - as above

    receiver = Receiver(file.access, file.router, address, file.fleet)
    line.changed = receiver

    class _Receiver:
        async def start(self) -> Serves:
            await receiver.start()
            return Serves(metrics_port=receiver.metrics_port)

        async def drain(self) -> None:
            await receiver.stop()

        async def stop(self) -> None:
            await receiver.stop()

    return _Receiver()


def _run(make: Callable[[Line], Part], told: Connection) -> None:
    with contextlib.suppress(PermissionError):  # it leads a session already
        os.setsid()
    # gRPC is silent in the command's own process, too: what it logs comes as an error of ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    asyncio.run(_until_told(make, told))


async def _until_told(make: Callable[[Line], Part], told: Connection) -> None:
    """SIGTERM drains, a second one ends at once, and so do SIGINT and the supervisor's end."""
    loop, signals = asyncio.get_running_loop(), asyncio.Queue[signal.Signals]()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the supervisor's to hear
    parent = parent_process()
    if parent is not None:
        loop.add_reader(parent.sentinel, _orphaned, loop, parent.sentinel, signals)
    line = Line(told)
    try:
        part = make(line)
        serves = await part.start()
    except LeaseKeyError as error:
        line.say(Fails(f"lease_key_file: {error}"))
        return
    except (AuditError, OSError, ValueError) as error:
        line.say(Fails(str(error)))
        return
    line.say(serves)
    line.listen()
    if await signals.get() is signal.SIGTERM:
        await _first_of(part.drain(), signals.get())
    line.close()
    await part.stop()


def _orphaned(
    loop: asyncio.AbstractEventLoop, sentinel: int, signals: asyncio.Queue[signal.Signals]
) -> None:
    loop.remove_reader(sentinel)
    signals.put_nowait(signal.SIGTERM)


async def _first_of(*works: Awaitable[object]) -> None:
    tasks = [asyncio.ensure_future(one) for one in works]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
