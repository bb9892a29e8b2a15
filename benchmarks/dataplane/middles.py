"""What may stand between client and engine, by name, and how each is started."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.chaos.rivals.contestants import Rival, serving
from benchmarks.dataplane.load import Api
from benchmarks.dataplane.process import Running, running
from benchmarks.dataplane.proxies import PROXIES, proxying

_ENGINE: Final = "benchmarks.dataplane.engine"
_LINKED: Final = "benchmarks.dataplane.linked_engine"
_OPENAI: Final = "benchmarks.dataplane.openai_engine"
_ROUTER: Final = "benchmarks.dataplane.spillway_router"

_LLM_ROUTERS: Final = (
    Rival("smg", "smg", ("launch", "--policy", "round_robin")),
    Rival("sglang-router", "sglang-router", ("launch", "--policy", "round_robin")),
    Rival("vllm-router", "vllm-router", ("--policy", "round_robin")),
    Rival("litellm", "litellm"),
)


@dataclass(frozen=True, slots=True)
class Middle:
    """A middle: the engine that it is put before, and what its client speaks.

    It is a module of ours with arguments, a program of others, or nothing at all.
    """

    name: str
    engine: str = _ENGINE
    api: Api = "vllm"
    module: str | None = None
    arguments: tuple[str, ...] = ()
    rival: Rival | None = None


_ALL: Final = (
    Middle("direct"),
    *(Middle(name) for name in PROXIES),
    Middle("naive", module="benchmarks.dataplane.naive"),
    Middle("spillway", module=_ROUTER),
    Middle("spillway link", _LINKED, module=_ROUTER),
    Middle("openai direct", _OPENAI, "openai"),
    *(Middle(rival.name, _OPENAI, "openai", rival=rival) for rival in _LLM_ROUTERS),
    Middle("openai spillway", api="openai", module=_ROUTER, arguments=("--openai",)),
    Middle("openai spillway link", _LINKED, "openai", _ROUTER, ("--openai",)),
)

MIDDLES: Final = {one.name: one for one in _ALL}
DIRECT: Final[dict[Api, str]] = {"vllm": "direct", "openai": "openai direct"}
"""Nothing between: the client on the engine."""


@contextlib.asynccontextmanager
async def middle(name: str, programs: Path | None, engine: Running) -> AsyncIterator[Running]:
    """Starts a middle before its engine. Raises MissingError for an absent rival."""
    one = MIDDLES[name]
    async with contextlib.AsyncExitStack() as started:
        if one.rival is not None:
            yield await started.enter_async_context(serving(one.rival, programs, [engine.port]))
        elif name in PROXIES:
            yield await started.enter_async_context(proxying(name, programs, engine))
        elif one.module is not None:
            arguments = ["--to", engine.address, *one.arguments]
            yield await started.enter_async_context(running(one.module, arguments))
        else:
            yield engine
