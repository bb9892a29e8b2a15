"""Holds unit tests to what tests.reach says of them: none starts a process or opens a socket."""

import contextlib
import functools
import sys
from collections.abc import Iterator
from multiprocessing.process import BaseProcess

import grpc
import grpc.aio
import pytest

ACTS = frozenset({
    *("subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system"),
    *("socket.bind", "socket.connect", "socket.getaddrinfo", "socket.sendto"),
})  # fmt: skip
"""What the interpreter's audit calls them."""

_seen: list[str] = []


def watch() -> None:
    """Sees every such act from here on, for as long as the process lives."""
    sys.addaudithook(lambda event, _: _seen.append(event) if event in ACTS else None)
    # What the interpreter does not audit: gRPC's own sockets, and processes by spawning.
    for place, name in ((grpc, "server"), (grpc.aio, "server"), (BaseProcess, "start")):
        setattr(place, name, _seen_when_called(getattr(place, name)))


def _seen_when_called(function):
    @functools.wraps(function)
    def called(*args, **kwargs):
        _seen.append(f"{function.__module__}.{function.__qualname__}")
        return function(*args, **kwargs)

    return called


@contextlib.contextmanager
def nothing_reaches_out() -> Iterator[None]:
    """Fails where what happens meanwhile reached out of this process."""
    _seen.clear()
    yield
    if _seen:
        acts = ", ".join(sorted(set(_seen)))
        pytest.fail(
            f"a unit test reached out of its process: {acts}. "
            "Import what does so in its file, or mark it: pytest.mark.outside"
        )
