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
        most = per_minute * _BURST_SHARE
        self.allowance = Allowance(Bucket(bucket, most, per_minute / 60))

    def wait_ns(self, now: int) -> int:
        """See RateBound; no sooner than the store may have given more."""
        level = self.allowance.level(now)
        if level > 0.0:
            return 0
        return max(_STORE_NS, int(-level / self.allowance.bucket.per_s * NS_PER_S))

    def take(self, amount: float, now: int) -> None:
        """See RateBound."""
        self.allowance.use(amount, now)


class TenantState:
    """One tenant's quotas, and its counts."""

    __slots__ = ("admitted", "bounds", "name", "refused", "tenant", "waiting", "work_tokens")

    def __init__(self, tenant: Tenant, *, shared: bool) -> None:
        self.tenant = tenant
        self.name = tenant.name
        self.bounds: dict[str, RateBound | SharedRate] = {}  # by the quota's key
        for quota, bucket in _BUCKETS.items():
            per_minute = getattr(tenant, quota)
            if per_minute is not None:
                several = SharedRate(f"{bucket}/{tenant.name}", per_minute)
                self.bounds[quota] = several if shared else RateBound(per_minute)
        self.waiting = 0
        self.admitted = 0
        self.refused = 0
        self.work_tokens = 0.0

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
        shared = fleet.shares
        self.by_name = {one.name: TenantState(one, shared=shared) for one in fleet.tenants}
        default = TenantState(Tenant(DEFAULT_TENANT), shared=shared)
        self._default = self.by_name.setdefault(DEFAULT_TENANT, default)
        self.weights = {name: float(one.tenant.weight) for name, one in self.by_name.items()}

    def of(self, name: str) -> TenantState:
        """The tenant that this name of a client's stands for."""
        return self.by_name.get(name, self._default)
