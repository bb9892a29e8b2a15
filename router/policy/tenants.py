"""Whose a request is, and whether its quotas allow one more.

Only tenants of the fleet file are told apart: a name that a client makes up is the default
tenant's, so no table grows with what clients send, and nobody gains a share by a new name.
"""

from router.policy.allowance import Allowance, Bucket
from router.policy.fleet import DEFAULT_TENANT, Fleet, Tenant
from router.policy.units import NS_PER_S

_NS_PER_MINUTE = 60 * NS_PER_S
_BURST_SHARE = 0.25  # of a minute's tokens
_STORE_NS = NS_PER_S // 2  # a store is asked a few times in it
_STREAM_ENDS_NS = NS_PER_S  # nobody knows when one ends, so that one who has too many looks again

_BUCKETS = {
    "tokens_per_minute": "tokens",
    "requests_per_minute": "requests",
    "prompt_tokens_per_minute": "prompt",
    "output_tokens_per_minute": "output",
}
"""The quotas that fill at a rate, and what a store that routers share calls each."""


QUOTAS = (*_BUCKETS, "streams_max")
"""Every quota, by its key in the fleet file."""


FORMER_MAX = 1_000
"""Tenants that the fleet file has no longer, and whose quotas are remembered as they left."""


class RateBound:
    """A bucket of what a quota counts, which fills at a steady rate.

    It may be overdrawn by one request: a prompt longer than the bucket is not refused for ever.
    """

    __slots__ = ("_at", "_level", "_most", "_per_ns")

    allowance: Allowance | None = None  # nobody else's tokens

    def __init__(self, per_minute: int) -> None:
        self._most = per_minute * _BURST_SHARE
        self._per_ns = per_minute / _NS_PER_MINUTE
        self._level = self._most
        self._at: int | None = None

    def resize(self, per_minute: int, now: int) -> None:
        """The quota is another; what was used of it, and has not filled up again, stays used."""
        used = self._most - self._level_at(now)
        self._most = per_minute * _BURST_SHARE
        self._per_ns = per_minute / _NS_PER_MINUTE
        self._level = self._most - used
        if self._at is not None:
            self._at = max(now, self._at)

    def wait_ns(self, now: int) -> int:
        """How long until another request is allowed; 0: it is."""
        level = self._level_at(now)
        return 0 if level > 0.0 else int(-level / self._per_ns) + 1

    def take(self, amount: float, now: int) -> None:
        """Use so much; negative gives back."""
        self._level = min(self._most, self._level_at(now) - amount)
        self._at = now if self._at is None else max(now, self._at)

    def _level_at(self, now: int) -> float:
        if self._at is None:
            return self._level
        return min(self._most, self._level + max(0, now - self._at) * self._per_ns)


class SharedRate:
    """The same bound, where several routers share the bucket: this one's part of it.

    Each may overdraw its part by one request.
    """

    __slots__ = ("allowance",)

    def __init__(self, bucket: str, per_minute: int) -> None:
        """`bucket` is its name among all that is shared."""
        self.allowance = Allowance(_bucket(bucket, per_minute))

    def resize(self, per_minute: int, now: int) -> None:
        """See RateBound."""
        self.allowance.resize(_bucket(self.allowance.bucket.name, per_minute), now)

    def wait_ns(self, now: int) -> int:
        """See RateBound; no sooner than the store may have given more."""
        level = self.allowance.level(now)
        if level > 0.0:
            return 0
        return max(_STORE_NS, int(-level / self.allowance.bucket.per_s * NS_PER_S))

    def take(self, amount: float, now: int) -> None:
        """See RateBound."""
        self.allowance.use(amount, now)


def _bucket(name: str, per_minute: int) -> Bucket:
    return Bucket(name, per_minute * _BURST_SHARE, per_minute / 60)


class TenantState:
    """One tenant's quotas, and its counts."""

    __slots__ = (
        *("_shared", "admitted", "bounds", "name"),
        *("refused", "tenant", "waiting", "work_tokens"),
    )

    def __init__(self, tenant: Tenant, *, shared: bool) -> None:
        self.name = tenant.name
        self._shared = shared
        self.bounds: dict[str, RateBound | SharedRate] = {}  # by the quota's key
        self.adopt(tenant, 0)
        self.waiting = 0
        self.admitted = 0
        self.refused = 0
        self.work_tokens = 0.0

    def adopt(self, tenant: Tenant, now: int) -> None:
        """The terms are these. What was used of a quota stays used; a quota that is new is full."""
        self.tenant = tenant
        bounds: dict[str, RateBound | SharedRate] = {}
        for quota, bucket in _BUCKETS.items():
            per_minute, bound = getattr(tenant, quota), self.bounds.get(quota)
            if per_minute is None:
                continue
            if bound is not None:
                bound.resize(per_minute, now)
            elif self._shared:
                bound = SharedRate(f"{bucket}/{tenant.name}", per_minute)
            else:
                bound = RateBound(per_minute)
            bounds[quota] = bound
        self.bounds = bounds

    def used_up(self, open_streams: int, routers: int, now: int) -> tuple[str, int] | None:
        """The quota that allows no further request for the longest, and for how long; or None.

        So many streams of the tenant are open here, and so many routers share what it may have.
        """
        most = self.tenant.streams_max
        if most is not None and open_streams >= max(1, most // max(1, routers)):
            return "streams_max", _STREAM_ENDS_NS
        waits = ((quota, bound.wait_ns(now)) for quota, bound in self.bounds.items())
        longest = max(waits, key=lambda one: one[1], default=("", 0))
        return longest if longest[1] else None

    def use(self, prompt_tokens: int, output_tokens: float, now: int) -> None:
        """A request comes in, of which so much is expected."""
        used = {
            "tokens_per_minute": prompt_tokens + output_tokens,
            "requests_per_minute": 1,
            "prompt_tokens_per_minute": prompt_tokens,
            "output_tokens_per_minute": output_tokens,
        }
        for quota, bound in self.bounds.items():
            bound.take(used[quota], now)

    def settle(self, more_tokens: float, now: int) -> None:
        """So many tokens more came out than were expected."""
        for quota in ("tokens_per_minute", "output_tokens_per_minute"):
            if quota in self.bounds:
                self.bounds[quota].take(more_tokens, now)


class Tenants:
    """The fleet's tenants by name, the default one among them."""

    def __init__(self, fleet: Fleet) -> None:
        self._shared = fleet.shares
        self._default = TenantState(Tenant(DEFAULT_TENANT), shared=fleet.shares)
        self.by_name: dict[str, TenantState] = {}
        self._former: dict[str, TenantState] = {}  # for when they come back: used is used
        self.weights: dict[str, float] = {}  # the very mapping that lanes read
        self.adopt(fleet, 0)

    def adopt(self, fleet: Fleet, now: int) -> None:
        """The fleet has these tenants; of those that it had before, all that they used is kept."""
        known = {**self._former, **self.by_name}
        terms = {DEFAULT_TENANT: Tenant(DEFAULT_TENANT)} | {one.name: one for one in fleet.tenants}
        order = [one.name for one in fleet.tenants]
        self.by_name = {}
        for name in dict.fromkeys((*order, DEFAULT_TENANT)):
            state = self._default if name == DEFAULT_TENANT else known.get(name)
            if state is None:
                state = TenantState(terms[name], shared=self._shared)
            else:
                state.adopt(terms[name], now)
            self.by_name[name] = state
        gone = [(name, state) for name, state in known.items() if name not in self.by_name]
        self._former = dict(gone[-FORMER_MAX:])
        self.weights.clear()
        self.weights.update({n: float(one.tenant.weight) for n, one in self.by_name.items()})

    def of(self, name: str) -> TenantState:
        """The tenant that this name of a client's stands for."""
        return self.by_name.get(name, self._default)
