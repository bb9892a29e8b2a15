"""The service spillway.v1.Load of a router: a router is a site, and reports as one."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from router.live.closing import Closing
from router.live.roster import Roster
from router.live.site_report import SiteReport
from router.live.timed_core import TimedCore
from router.policy.identity import UNKNOWN, EngineIdentity
from wire.spillway.v1 import load_pb2 as pb
from wire.spillway.v1.load_pb2_grpc import LoadServicer

_SILENCE_DEFAULT_MS: Final = 1_000
_SILENCE_MIN_MS: Final = 50
_SILENCE_MAX_MS: Final = 60_000
_LOOK_S: Final = 0.05
"""How late a watcher may learn of a change: a report adds up every endpoint, so there are few."""


class LoadService(LoadServicer):
    """Tells every router above the same report, and each the prefixes that it does not know of."""

    def __init__(
        self,
        core: TimedCore,
        roster: Roster,
        draining: Callable[[], bool],
        closing: Closing,
    ) -> None:
        self._core = core
        self._site = SiteReport(core, roster)
        self._draining = draining
        self._latest = pb.LoadReport()
        self._made_s = float("-inf")
        self._closing = closing

    async def Watch(  # noqa: N802 - the wire's name
        self, request: pb.WatchLoadRequest, context: Any
    ) -> AsyncIterator[pb.LoadReport]:
        """A report at once, on every change that matters, and as often as asked for."""
        _ = context
        watcher = self.watcher(request)
        while True:
            yield watcher.tell()
            while not watcher.is_due:
                if await self._closing.begins_within(watcher.look_s):
                    return

    def watcher(self, request: pb.WatchLoadRequest) -> "Watcher":
        """One router above, which is told when it asks."""
        asked_ms = request.max_silence_ms or _SILENCE_DEFAULT_MS
        silence_s = min(_SILENCE_MAX_MS, max(_SILENCE_MIN_MS, asked_ms)) / 1_000
        return Watcher(self.report, self._site.identity, self._core, silence_s)

    def report(self) -> pb.LoadReport:
        """The latest report, made anew when it is old: all watchers share it."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._made_s >= _LOOK_S:
            self._latest, self._made_s = self._site.make(draining=self._draining()), now_s
        return self._latest


class Watcher:
    """What one router above has been told, and whether there is something new for it."""

    def __init__(
        self,
        latest: Callable[[], pb.LoadReport],
        identity: Callable[[], EngineIdentity],
        core: TimedCore,
        silence_s: float,
    ) -> None:
        self.look_s = min(_LOOK_S, silence_s)
        self._latest = latest
        self._identity = identity
        self._core = core
        self._silence_s = silence_s
        self._told_s = float("-inf")
        self._told: tuple[object, ...] = ()
        self._told_identity = UNKNOWN
        self._told_prefixes = 0

    @property
    def is_due(self) -> bool:
        """Whether something has changed that matters, or it has been quiet for long."""
        quiet_s = asyncio.get_running_loop().time() - self._told_s
        return quiet_s >= self._silence_s or _matters(self._latest()) != self._told

    async def until_due(self) -> None:
        """Looks again and again."""
        while not self.is_due:  # noqa: ASYNC110 - what changes is added up when looked at
            await asyncio.sleep(self.look_s)

    def tell(self) -> pb.LoadReport:
        """The report that it gets now."""
        latest = self._latest()
        report = pb.LoadReport()
        report.CopyFrom(latest)
        if (identity := self._identity()) != self._told_identity:
            self._told_identity = identity
            _tell_identity(report, identity)
        changes = self._core.cached_since(self._told_prefixes)
        if changes.reset or changes.added or changes.removed:
            report.prefix.reset = changes.reset
            report.prefix.added[:] = changes.added
            report.prefix.removed[:] = changes.removed
        self._told_prefixes = changes.number
        self._told, self._told_s = _matters(latest), asyncio.get_running_loop().time()
        return report


def _matters(report: pb.LoadReport) -> tuple[object, ...]:
    """What a watcher must learn of at once."""
    gateway = report.gateway
    load = (report.running_requests, report.waiting_requests, report.draining)
    return (*load, gateway.endpoints_up, *sorted(gateway.routers))


def _tell_identity(report: pb.LoadReport, identity: EngineIdentity) -> None:
    report.identity.weights_digest = identity.weights
    report.identity.tokenizer_digest = identity.tokenizer
    report.identity.numerics_digest = identity.numerics
    report.identity.restores[:] = identity.restores
    report.identity.adapters.update(identity.adapters)
