"""The service spillway.v1.Load of a router: a router is a site, and reports as one."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from router.live.closing import Closing
from router.live.roster import Roster
from router.live.timed_core import TimedCore
from router.policy.identity import UNKNOWN, EngineIdentity
from router.policy.snapshot import EndpointSnapshot, Health
from router.policy.units import seconds
from wire.spillway.v1 import load_pb2 as pb
from wire.spillway.v1.load_pb2_grpc import LoadServicer

_SILENCE_DEFAULT_MS: Final = 1_000
_SILENCE_MIN_MS: Final = 50
_SILENCE_MAX_MS: Final = 60_000
_LOOK_S: Final = 0.05
"""How late a watcher may learn of a change: a report adds up every endpoint, so there are few."""


class LoadService(LoadServicer):
    """Adds up the load of the endpoints that are up. It knows no prefixes: they are theirs."""

    def __init__(
        self,
        router: str,
        core: TimedCore,
        roster: Roster,
        draining: Callable[[], bool],
        closing: Closing,
    ) -> None:
        self._router = router
        self._core = core
        self._roster = roster
        self._draining = draining
        self._latest = pb.LoadReport()
        self._made_s = float("-inf")
        self._closing = closing

    async def Watch(  # noqa: N802 - the wire's name
        self, request: pb.WatchLoadRequest, context: Any
    ) -> AsyncIterator[pb.LoadReport]:
        """A report at once, on every change of what runs or waits, and as often as asked for."""
        _ = context
        asked_ms = request.max_silence_ms or _SILENCE_DEFAULT_MS
        silence_s = min(_SILENCE_MAX_MS, max(_SILENCE_MIN_MS, asked_ms)) / 1_000
        loop = asyncio.get_running_loop()
        sent_s, told, told_identity = 0.0, None, UNKNOWN
        while True:
            report = self._report()
            matters = (report.running_requests, report.waiting_requests, report.draining)
            if matters != told or loop.time() - sent_s >= silence_s:
                identity = self._identity()
                if identity != told_identity:
                    told_identity = identity
                    report = _with_identity(report, identity)
                yield report
                sent_s, told = loop.time(), matters
            if await self._closing.begins_within(min(_LOOK_S, silence_s)):
                return

    def _identity(self) -> EngineIdentity:
        """What every endpoint runs, where all run the same: a site of that kind."""
        known = {
            endpoint.follower.engine for endpoint in self._roster if endpoint.follower.connected
        }
        return known.pop() if len(known) == 1 else UNKNOWN

    def _report(self) -> pb.LoadReport:
        """The latest report, made anew when it is old: all watchers share it."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._made_s >= _LOOK_S:
            self._latest, self._made_s = self._sample(self._latest.sequence + 1), now_s
        return self._latest

    def _sample(self, sequence: int) -> pb.LoadReport:
        up = [
            endpoint
            for site in self._core.snapshot().sites
            for endpoint in site.endpoints
            if endpoint.health is not Health.DOWN and not endpoint.draining
        ]
        report = pb.LoadReport(
            instance_id=self._router,
            sequence=sequence,
            sampled_unix_ns=time.time_ns(),
            # An endpoint that reports nothing runs at least what this router sent it.
            running_requests=sum(max(e.running, e.in_flight - e.waiting) for e in up),
            waiting_requests=sum(endpoint.waiting for endpoint in up),
            queued_prefill_tokens=sum(endpoint.queued_prefill_tokens for endpoint in up),
            ttft_s=_mean_s([endpoint.ttft_ns for endpoint in up]),
            itl_s=_mean_s([endpoint.itl_ns for endpoint in up]),
            draining=self._draining(),
        )
        self._add_capacity(report, up)
        return report

    def _add_capacity(self, report: pb.LoadReport, up: list[EndpointSnapshot]) -> None:
        """What only the endpoints' own reports say."""
        used = 0.0
        for endpoint in up:
            live = self._roster.get(endpoint.name)
            heard = live.follower.load.last if live else None
            if heard is None:
                continue
            report.max_running_requests += heard.max_running_requests
            report.kv_tokens_max += heard.kv_tokens_max
            report.generated_tokens += heard.generated_tokens
            report.prefix_hit_tokens += heard.prefix_hit_tokens
            report.prefix_query_tokens += heard.prefix_query_tokens
            report.model = report.model or heard.model
            report.attention_backend = report.attention_backend or heard.attention_backend
            used += heard.kv_usage * heard.kv_tokens_max
        report.kv_usage = used / report.kv_tokens_max if report.kv_tokens_max else 0.0


def _with_identity(report: pb.LoadReport, identity: EngineIdentity) -> pb.LoadReport:
    told = pb.LoadReport()
    told.CopyFrom(report)
    told.identity.weights_digest = identity.weights
    told.identity.tokenizer_digest = identity.tokenizer
    told.identity.numerics_digest = identity.numerics
    told.identity.restores[:] = identity.restores
    told.identity.adapters.update(identity.adapters)
    return told


def _mean_s(values_ns: list[int]) -> float:
    known = [value for value in values_ns if value]
    return seconds(sum(known) // len(known)) if known else 0.0
