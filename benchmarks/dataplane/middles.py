"""What may stand between client and engine, by name, and how each is started."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from benchmarks.dataplane.process import Running, running
from benchmarks.dataplane.proxies import PROXIES, proxying

_OURS: Final = {
    "naive": ("benchmarks.dataplane.naive", ()),
    "spillway": ("benchmarks.dataplane.spillway_router", ()),
    "spillway link": ("benchmarks.dataplane.spillway_router", ()),
}
_LINKED: Final = {"spillway link"}
MIDDLES: Final = ("direct", *PROXIES, *_OURS)


@contextlib.asynccontextmanager
async def middle(name: str, programs: Path | None, engine: Running) -> AsyncIterator[Running]:
    """Starts a middle before the engine; `direct` is the engine itself. Raises MissingError."""
    if name == "direct":
        yield engine
    elif name in PROXIES:
        async with proxying(name, programs, engine) as process:
            yield process
    else:
        module, arguments = _OURS[name]
        async with running(module, ["--to", engine.address, *arguments]) as process:
            yield process


def engine_of(name: str) -> str:
    """The module of the fake engine that a middle is put before: one with site links or without."""
    return f"benchmarks.dataplane.{'linked_engine' if name in _LINKED else 'engine'}"
