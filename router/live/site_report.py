"""The load report of a router: what its endpoints report, added up."""

import time
from collections.abc import Iterable, Sequence
from functools import reduce
from itertools import islice
from typing import Final

from router.live.endpoint import LiveEndpoint
from router.live.forecasts import forecasts
from router.live.hops import HOPS_MAX, ID_CHARS_MAX
from router.live.roster import Roster
from router.live.timed_core import TimedCore
from router.policy.gateway import ROUTERS_MAX
from router.policy.identity import UNKNOWN, EngineIdentity
from router.policy.snapshot import EndpointSnapshot, Health
from router.policy.units import seconds
from wire.spillway.v1 import load_pb2 as pb

_LOADED_MAX: Final = 256
"""Adapters that a report calls loaded."""

_FORECASTS_EVERY: Final = 4
"""Reports: forecasts cost the most of one, and change as slowly as queues do."""


class SiteReport:
    """Makes reports from the state of one router's endpoints."""

    def __init__(self, core: TimedCore, roster: Roster) -> None:
        self._core = core
        self._roster = roster
        self._made = 0
        self._forecasts: list[pb.Forecast] = []

    def identity(self) -> EngineIdentity:
        """What holds of every endpoint; nothing where they run different models."""
        known = {one.follower.engine for one in self._roster if one.follower.connected}
        return reduce(_common, known) if known else UNKNOWN

    def make(self, *, draining: bool) -> pb.LoadReport:
        """The report as of now; it has neither identity nor prefixes, which differ by watcher."""
        snapshot = self._core.snapshot()
        listed = [endpoint for site in snapshot.sites for endpoint in site.endpoints]
        alive = [endpoint for endpoint in listed if endpoint.health is not Health.DOWN]
        up = [endpoint for endpoint in alive if not endpoint.draining]
        self._made += 1
        report = pb.LoadReport(
            instance_id=self._core.router,
            sequence=self._made,
            sampled_unix_ns=time.time_ns(),
            # An endpoint that reports nothing runs at least what this router sent it.
            running_requests=sum(max(e.running, e.in_flight - e.waiting) for e in up),
            waiting_requests=sum(endpoint.waiting for endpoint in up)
            + sum(tenant.waiting for tenant in snapshot.tenants),
            queued_prefill_tokens=sum(endpoint.queued_prefill_tokens for endpoint in up),
            ttft_s=_mean_s([endpoint.ttft_ns for endpoint in up]),
            itl_s=_mean_s([endpoint.itl_ns for endpoint in up]),
            draining=draining or (bool(alive) and not up),
            gateway=self._gateway(len(up), len(listed)),
            link=not draining,
        )
        self._add_capacity(report, up)
        return report

    def _gateway(self, up: int, listed: int) -> pb.Gateway:
        if not up:
            self._forecasts = []
        elif not self._forecasts or self._made % _FORECASTS_EVERY == 0:
            self._forecasts = [
                pb.Forecast(uncached_tokens=one.uncached_tokens, ttft_s=seconds(one.ttft_ns))
                for one in forecasts(self._core)
            ]
        return pb.Gateway(
            routers=_routers(self._core.router, self._roster),
            endpoints_up=up,
            endpoints=max(listed, len(self._roster)),
            forecasts=self._forecasts,
        )

    def _add_capacity(self, report: pb.LoadReport, up: Sequence[EndpointSnapshot]) -> None:
        """What only the endpoints' own reports say."""
        used = lent = 0.0
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
            _add_adapters(report.adapters, heard)
            used += heard.kv_usage * heard.kv_tokens_max
            lent += heard.lent_share * heard.max_running_requests
        report.kv_usage = used / report.kv_tokens_max if report.kv_tokens_max else 0.0
        slots = report.max_running_requests
        report.lent_share = lent / slots if slots else 0.0


def _routers(router: str, endpoints: Iterable[LiveEndpoint]) -> dict[str, int]:
    """The routers that a request sent here may pass, by how many it would have passed before.

    Those behind an endpoint that leads back here are named as well. Were they left out, the other
    routers of the ring would take it for open again, and it would open and close for ever. What
    only the ring itself still says is forgotten, since it grows more distant with each round.
    """
    found = {router: 0}
    for endpoint in endpoints:
        report = endpoint.follower.load.last
        if report is None or not endpoint.follower.connected:
            continue
        for behind, passed in islice(report.gateway.routers.items(), ROUTERS_MAX):
            if passed + 1 < HOPS_MAX and len(behind) <= ID_CHARS_MAX:
                found[behind] = min(passed + 1, found.get(behind, HOPS_MAX))
    nearest = sorted(found.items(), key=lambda one: (one[1], one[0]))
    return dict(nearest[:ROUTERS_MAX])


def _common(one: EngineIdentity, other: EngineIdentity) -> EngineIdentity:
    """What may be said of two endpoints alike: a stream may go on at either by it."""
    if not one.is_like(other):
        return UNKNOWN
    return EngineIdentity(
        weights=one.weights,
        tokenizer=one.tokenizer,
        numerics=one.numerics if one.rounds_like(other) else "",
        restores=tuple(name for name in one.restores if name in other.restores),
        adapters=_adapters_of(one, other),
    )


def _adapters_of(one: EngineIdentity, other: EngineIdentity) -> tuple[tuple[str, str], ...]:
    """Those of either: a request goes where its adapter is.

    One that is another at each has no digest, as no stream may go on by it.
    """
    found = dict(one.adapters)
    for name, digest in other.adapters:
        found[name] = digest if found.get(name, digest) == digest else ""
    return tuple(sorted(found.items()))


def _add_adapters(adapters: pb.Adapters, heard: pb.LoadReport) -> None:
    """What an endpoint has loaded is loaded here; how much room there is differs by endpoint."""
    if not heard.HasField("adapters"):
        return
    adapters.SetInParent()  # there are some, whether or not any is loaded
    said = heard.adapters
    there = {*adapters.loaded}
    new = [name for name in said.loaded if name not in there]
    adapters.loaded.extend(new[: max(0, _LOADED_MAX - len(there))])
    adapters.load_s = max(adapters.load_s, said.load_s)


def _mean_s(values_ns: list[int]) -> float:
    known = [value for value in values_ns if value]
    return seconds(sum(known) // len(known)) if known else 0.0
