"""SkyLB: regional balancers that push only to replicas without a queue, and forward to peers."""

import random

from router.policy.load import LoadReport
from router.policy.request import Request
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.policy import Hold
from router.sim.rivals.prefix_tree import PrefixTree
from router.sim.rivals.rival import Rival

_PROBE_NS = 100 * NS_PER_MS
_TREE_AGE_NS = 60 * NS_PER_S
_MATCH_MIN = 0.5
_BALANCE_ABS = 32
_BALANCE_REL = 1.0001


class SkyLb(Rival):
    """Selective pushing: a request waits at its balancer until some replica has nothing pending.

    Replicas are probed every 100 ms; one without pending requests is available. Of the available
    ones of its own region, the least loaded is taken where their load is uneven (max - min in
    flight > 32 and max > 1.0001 * min) or no more than half of the prompt is matched; else the one
    that matches most. With none available at home, the request is forwarded to a peer region that
    has some, chosen by a prefix tree of regions; else it goes back to the head of the queue.

    Source: SkyLB (EuroSys 2026), SkyPilot branch serve-multi-region-lb. The router is the balancer
    of the nearest site, and stands in for its peers as well: they have no clients of their own, so
    their queues are empty and the bounds on them (own queue, 10) always hold.
    """

    report_interval_ns = _PROBE_NS

    def __init__(self) -> None:
        super().__init__()
        self._replicas = PrefixTree(age_max_ns=_TREE_AGE_NS)
        self._regions = PrefixTree(age_max_ns=_TREE_AGE_NS)
        self._rtt_ns: dict[str, int] = {}
        self._pending: dict[str, int] = {}
        self._queue: dict[str, None] = {}  # requests that wait, first come first

    def on_rtt(self, endpoint: str, rtt_ns: int, now: int) -> None:
        """Distance tells which region is its own."""
        _ = now
        self._rtt_ns[endpoint] = rtt_ns

    def on_load(self, report: LoadReport, now: int) -> None:
        """A probe."""
        _ = now
        self._pending[report.endpoint] = report.waiting

    def choose(
        self, request: Request, usable: list[str], now: int, rng: random.Random
    ) -> str | Hold:
        """See the class."""
        if self._queue and next(iter(self._queue)) != request.id:
            return self._hold(request, now)
        regions: dict[str, list[str]] = {}
        for name in usable:
            region = regions.setdefault(self.endpoints[name].site, [])
            if not self._pending.get(name):
                region.append(name)
        own = self.endpoints[min(usable, key=lambda name: self._rtt_ns.get(name, 0))].site
        chosen = own if regions[own] else self._peer(request, regions)
        if chosen is None:
            return self._hold(request, now)
        self._queue.pop(request.id, None)
        self._regions.add(chosen, request, now)
        return self._replica(request, regions[chosen], rng)

    def saw_send(self, request: Request, endpoint: str, now: int) -> None:
        """What is sent is taken to be cached."""
        self._replicas.add(endpoint, request, now)

    def on_tick(self, now: int) -> None:
        """Trees forget after a minute."""
        self._replicas.expire(now)
        self._regions.expire(now)

    def saw_refused(self, request: Request, now: int) -> None:
        """It waits no more."""
        _ = now
        self._queue.pop(request.id, None)

    def saw_lost(self, endpoint: str, now: int) -> None:
        """Its cache is gone."""
        _ = now
        self._replicas.forget(endpoint)

    def _hold(self, request: Request, now: int) -> Hold:
        self._queue[request.id] = None
        return Hold(request.id, (now // _PROBE_NS + 1) * _PROBE_NS)

    def _peer(self, request: Request, regions: dict[str, list[str]]) -> str | None:
        peers = [region for region, available in regions.items() if available]
        if not peers:
            return None
        _matched, holders = self._regions.best(request, peers)
        return min(holders or peers, key=lambda region: self._load(regions[region]))

    def _load(self, replicas: list[str]) -> float:
        return sum(self.in_flight[name] for name in replicas) / len(replicas)

    def _replica(self, request: Request, available: list[str], rng: random.Random) -> str:
        loads = [self.in_flight[name] for name in available]
        most, least = max(loads), min(loads)
        matched, holders = self._replicas.best(request, available)
        uneven = most - least > _BALANCE_ABS and most > _BALANCE_REL * least
        if not uneven and matched > _MATCH_MIN * request.prompt_tokens:
            return holders[0]
        return rng.choice(
            [name for name, load in zip(available, loads, strict=True) if load == least]
        )
