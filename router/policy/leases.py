"""Requests that are placed with a lease: in flight from the placement until somebody knows better.

Their tokens pass this router by, so that it has to be told what becomes of them, by two ends that
may both be wrong. The endpoint's account decides. It comes with the load reports, is repeated after
a lost connection, and says what was used, how long the engine took and how it ended. The client's
claim is a hint, and costs a liar nothing but its own place: it gives back a lease that was never
used, and it says that a stream broke off, which is believed only where this router has itself lost
the endpoint. Of a stream that its client calls over, the endpoint has some seconds to speak; after
that it holds no place any more.

What neither end tells ages out: a lease that nobody used, soon after its life; a stream that has
begun, at its deadline; everything at an endpoint that is gone, or is another instance now, at once.
None of these teaches anything about the endpoint but the last.

A lease may be used again within its life, or after it was given back. The endpoint tells, and each
such use is a flight of its own, on the account of the same tenant.

Who takes leases and does not use them keeps others from the endpoints for some seconds each time.
So whoever has many of them unused is sent through the router instead (`refusal`).

Rejected: to trust clients' reports, by a majority or a score. Whoever profits from a lie can tell
it often.
"""

import heapq
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

from router.policy.fleet import DEFAULT_TENANT, Fleet
from router.policy.flight import Flight
from router.policy.lease import ClaimKind, LeaseAccount, LeaseClaim, Stage
from router.policy.load import LoadReport
from router.policy.meter import Share
from router.policy.outcome import End, Ended, FirstToken, Outcome
from router.policy.registry import Registry
from router.policy.units import NS_PER_S

LEASES_MAX = 50_000
"""Remembered: a few hundred bytes each."""

_GRACE_NS = 3 * NS_PER_S  # after its life: a clock's error, and an account that is on its way
_KEPT_NS = 60 * NS_PER_S  # after its end: an endpoint tells for as long
_LOST_NS = 30 * NS_PER_S  # without a connection: what runs there is given up
_UNUSED_MAX = 1_024  # of a tenant at one time: a burst
_LAPSED_MAX = 32.0  # of a tenant, of late
_LAPSED_KEPT = 0.98  # of each, a second later


@dataclass(slots=True, eq=False)
class _Use:
    """A lease that waits for its use, or one use of it."""

    lease: str
    flight: Flight
    instance: str
    begins_by_ns: int
    ends_by_ns: int
    stage: Stage = Stage.PLACED
    settled: bool = False  # no longer in flight
    forget_ns: int = 0  # once it is settled
    key: tuple[str, int] | None = None  # by which the endpoint counts it
    told_tokens: int | None = None  # by the endpoint, in the end
    claimed_tokens: int | None = None  # by the client
    broke_after: int | None = None  # so many messages, says the client
    over_ns: int | None = None  # by when the endpoint should have said so, as the client has

    @property
    def id(self) -> str:
        """By which the core knows the flight."""
        return self.flight.request.id


@dataclass(slots=True)
class LeaseTotals:
    """Of one router since its start."""

    placed: int = 0
    open: int = 0
    lapsed: int = 0  # that nobody used
    used_again: int = 0
    aged_out: int = 0  # streams of which nobody told the end
    disputed: int = 0  # of which the client told something else than the endpoint


Begin = Callable[[Flight, int], None]
"""Has an attempt that nobody decided on count as in flight."""

Settle = Callable[[Outcome, int], None]
"""Takes an outcome that nothing follows: the client comes back by itself."""


class Leases:
    """The leases of one router. Its caller says what happens, and hears outcomes by `settle`."""

    def __init__(self, fleet: Fleet, registry: Registry, begin: Begin, settle: Settle) -> None:
        self._life_ns = fleet.limits.lease_life_ns
        self._tenants = {tenant.name for tenant in fleet.tenants}
        self._registry = registry
        self._begin = begin
        self._settle = settle
        self._placed: dict[str, _Use] = {}
        self._uses: dict[tuple[str, int], _Use] = {}  # by the endpoint's count
        self._open: defaultdict[str, dict[str, _Use]] = defaultdict(dict)  # by endpoint
        self._due: list[tuple[int, int, _Use]] = []  # a heap of when to look at each
        self._pushed = 0
        self._instances: dict[str, str] = {}  # as each endpoint has said last
        self._lost_ns: dict[str, int] = {}  # endpoints without a connection, and since when
        self._unused: defaultdict[str, int] = defaultdict(int)
        self._lapsed: dict[str, float] = {}
        self.totals = LeaseTotals()

    def adopt(self, fleet: Fleet) -> None:
        """The fleet has other tenants or another life of leases."""
        self._life_ns = fleet.limits.lease_life_ns
        self._tenants = {tenant.name for tenant in fleet.tenants}
        unused: defaultdict[str, int] = defaultdict(int)
        for use in self._placed.values():
            if use.stage is Stage.PLACED and not use.settled:
                unused[self._tenant(use.flight.request.tenant)] += 1
        self._unused = unused

    def refusal(self, tenant: str) -> str:
        """Why a request of this tenant has to go through the router; empty where it need not."""
        if len(self._placed) >= LEASES_MAX:
            return f"{LEASES_MAX} leases are remembered, the most there may be"
        tenant = self._tenant(tenant)
        if self._unused[tenant] >= _UNUSED_MAX or self._lapsed.get(tenant, 0.0) >= _LAPSED_MAX:
            return "too many leases of this tenant have not been used"
        return ""

    def begun_at(self, endpoint: str) -> tuple[str, ...]:
        """The leases whose streams run at an endpoint, as far as is known."""
        open_there = self._open.get(endpoint, {}).values()
        return tuple(use.lease for use in open_there if use.stage is not Stage.PLACED)

    def place(self, flight: Flight, now: int) -> None:
        """An attempt was decided on that its client performs."""
        tracked = self._registry.by_name[flight.endpoint]
        report, deadline_ns = tracked.occupancy.report, flight.request.deadline_ns
        begins_by_ns = now + self._life_ns + _GRACE_NS
        use = _Use(
            lease=flight.request.id,
            flight=flight,
            instance=report.instance if report is not None else "",
            begins_by_ns=begins_by_ns,
            ends_by_ns=max(begins_by_ns, (deadline_ns or begins_by_ns) + _GRACE_NS),
        )
        self._placed[use.lease] = use
        self._unused[self._tenant(flight.request.tenant)] += 1
        self.totals.placed += 1
        self._hold(use, begins_by_ns)

    def on_report(self, report: LoadReport, now: int) -> None:
        """An endpoint has said which instance it is, and what became of leases."""
        if self._instances.get(report.endpoint) != report.instance:
            self._instances[report.endpoint] = report.instance
            for use in list(self._open[report.endpoint].values()):
                if use.instance and use.instance != report.instance:
                    self._lose(use, now)
        for account in report.accounts:
            self._hear(report.endpoint, account, now)

    def on_claim(self, claim: LeaseClaim, now: int) -> None:
        """A client has said what became of its lease. No effect on one that is not known."""
        use = self._placed.get(claim.lease)
        if use is None:
            return
        if not use.settled and use.over_ns is None:
            use.over_ns = now + _GRACE_NS
            self._push(use, use.over_ns)
        if claim.kind is ClaimKind.COMPLETE:
            use.claimed_tokens = claim.output_tokens
            self._compare(use)
        elif claim.kind is ClaimKind.NEVER_BEGAN:
            if use.stage is Stage.PLACED and not use.settled:
                self._end(use, End.CANCELLED, now)
        elif claim.kind is ClaimKind.BROKE_OFF and not use.settled:
            use.broke_after = claim.messages
            if use.flight.endpoint in self._lost_ns:
                self._lose(use, now)

    def on_connection(self, endpoint: str, *, connected: bool, now: int) -> None:
        """The connection to an endpoint was made or lost."""
        if connected:
            self._lost_ns.pop(endpoint, None)
            return
        self._lost_ns.setdefault(endpoint, now)
        for use in list(self._open[endpoint].values()):
            if use.broke_after is not None:
                self._lose(use, now)

    def on_gone(self, endpoint: str, now: int) -> None:
        """An endpoint is listed no more, and will tell nothing any more."""
        self._lose_all(endpoint, now)
        self._open.pop(endpoint, None)
        self._lost_ns.pop(endpoint, None)
        self._instances.pop(endpoint, None)

    def on_tick(self, now: int) -> None:
        """End what has aged, and forget what has ended."""
        for endpoint, since_ns in list(self._lost_ns.items()):
            if now - since_ns >= _LOST_NS:
                self._lose_all(endpoint, now)
        while self._due and self._due[0][0] <= now:
            self._look(heapq.heappop(self._due)[2], now)
        self._lapsed = {
            tenant: left
            for tenant, count in self._lapsed.items()
            if (left := count * _LAPSED_KEPT) >= 1.0 / 2.0
        }

    def _look(self, use: _Use, now: int) -> None:
        if use.settled:
            if now >= use.forget_ns:
                self._forget(use)
        elif use.over_ns is not None and now >= use.over_ns:
            self.totals.aged_out += 1
            self._end(use, End.CANCELLED, now)
        elif use.stage is Stage.PLACED and now >= use.begins_by_ns:
            tenant = self._tenant(use.flight.request.tenant)
            self._lapsed[tenant] = self._lapsed.get(tenant, 0.0) + 1.0
            self.totals.lapsed += 1
            self._end(use, End.CANCELLED, now)
        elif now >= use.ends_by_ns:
            self.totals.aged_out += 1
            self._end(use, End.CANCELLED, now)
        elif use.stage is not Stage.PLACED:
            self._push(use, use.ends_by_ns)

    def _hear(self, endpoint: str, account: LeaseAccount, now: int) -> None:
        use = self._uses.get((account.lease, account.use))
        if use is None or (use.settled and use.told_tokens is None):
            placed = self._placed.get(account.lease)
            if placed is None or placed.flight.endpoint != endpoint:
                return  # forgotten, or not this endpoint's to speak of
            if len(self._uses) >= LEASES_MAX:
                return
            use = self._use_of(placed, now)
            use.key = (account.lease, account.use)
            self._uses[use.key] = use
        if use.settled or account.stage <= use.stage:
            return
        if use.stage is Stage.PLACED:
            self._start(use, account, now)
        flight = use.flight
        if use.stage < Stage.FIRST_TOKEN and account.ttft_ns:
            use.stage = Stage.FIRST_TOKEN
            ttft_ns = account.ttft_ns + flight.network_ns
            self._settle(FirstToken(use.id, flight.endpoint, ttft_ns), now)
        if account.stage is Stage.ENDED:
            use.told_tokens = account.output_tokens
            self._end(use, account.end, now, account)
            self._compare(use)

    def _use_of(self, placed: _Use, now: int) -> _Use:
        """The placement itself, where it was not used yet; otherwise it is used once more."""
        if placed.stage is Stage.PLACED and not placed.settled:
            return placed
        self.totals.used_again += 1
        first = placed.flight
        request = replace(first.request, id=f"{placed.lease}#{self.totals.used_again}", session="")
        # Nothing is expected of it, so that all that it makes is charged in the end.
        flight = replace(
            first,
            request=request,
            sent_ns=now,
            uncached_tokens=0,
            expected_tokens=0.0,
            price_usd=0.0,
            share=Share(0.0),
            probe=False,
            first_ns=0,
            ttft_ns=0,
        )
        may_last_ns = placed.ends_by_ns - placed.begins_by_ns
        use = _Use(placed.lease, flight, placed.instance, now, now + may_last_ns + _GRACE_NS)
        self._begin(flight, now)
        self._hold(use, use.ends_by_ns)
        return use

    def _start(self, use: _Use, account: LeaseAccount, now: int) -> None:
        self._count_used(use)
        use.stage = Stage.STARTED
        tracked = self._registry.by_name[use.flight.endpoint]
        tracked.on_started(use.flight, use.id, now - account.age_ns, now)

    def _hold(self, use: _Use, look_ns: int) -> None:
        self._open[use.flight.endpoint][use.id] = use
        self.totals.open += 1
        self._push(use, look_ns)

    def _lose_all(self, endpoint: str, now: int) -> None:
        for use in list(self._open[endpoint].values()):
            self._lose(use, now)

    def _lose(self, use: _Use, now: int) -> None:
        """Its endpoint is gone. What had not begun says nothing of it."""
        begun = use.stage is not Stage.PLACED or use.broke_after
        self._end(use, End.UNREACHABLE if begun else End.CANCELLED, now)

    def _end(self, use: _Use, end: End, now: int, account: LeaseAccount | None = None) -> None:
        self._count_used(use)
        use.settled = True
        use.forget_ns = now + _KEPT_NS
        self._open[use.flight.endpoint].pop(use.id, None)
        self.totals.open -= 1
        self._push(use, use.forget_ns)
        self._settle(_ended(use, end, account), now)

    def _count_used(self, use: _Use) -> None:
        """It is not one that waits for its use any more."""
        if use.stage is Stage.PLACED and self._placed.get(use.lease) is use:
            self._unused[self._tenant(use.flight.request.tenant)] -= 1

    def _compare(self, use: _Use) -> None:
        """The two ends' words against each other, once each has spoken: nothing follows from it."""
        if use.told_tokens is not None and use.claimed_tokens is not None:
            self.totals.disputed += use.claimed_tokens != use.told_tokens

    def _push(self, use: _Use, at_ns: int) -> None:
        self._pushed += 1
        heapq.heappush(self._due, (at_ns, self._pushed, use))

    def _forget(self, use: _Use) -> None:
        if self._placed.get(use.lease) is use:
            del self._placed[use.lease]
        if use.key is not None and self._uses.get(use.key) is use:
            del self._uses[use.key]

    def _tenant(self, name: str) -> str:
        return name if name in self._tenants else DEFAULT_TENANT


def _ended(use: _Use, end: End, account: LeaseAccount | None) -> Ended:
    flight = use.flight
    if account is None:
        begun = int(use.stage is Stage.FIRST_TOKEN)
        messages = begun if use.broke_after is None else use.broke_after
        return Ended(use.id, flight.endpoint, end, messages=messages)
    known = account.decode_ns > 0
    return Ended(
        use.id,
        flight.endpoint,
        end,
        output_tokens=account.output_tokens,
        messages=account.messages,
        duration_ns=flight.ttft_ns + account.decode_ns if known else 0,
        egress_bytes=account.egress_bytes,
    )
