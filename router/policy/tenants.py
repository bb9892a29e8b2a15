"""Whose a request is, and whether its rate allows one more.

Only tenants of the fleet file are told apart: a name that a client makes up is the default
tenant's, so no table grows with what clients send, and nobody gains a share by a new name.
"""

from router.policy.allowance import Allowance, Bucket
from router.policy.fleet import DEFAULT_TENANT, Fleet, Tenant
from router.policy.units import NS_PER_S

_NS_PER_MINUTE = 60 * NS_PER_S
_BURST_SHARE = 0.25  # of a minute's tokens
_STORE_NS = NS_PER_S // 2  # a store is asked a few times in it


class RateBound:
    """A bucket of tokens that fills at a steady rate.

    It may be overdrawn by one request: a prompt longer than the bucket is not refused for ever.
    """

    __slots__ = ("_at", "_level", "_most", "_per_ns")

    allowance: Allowance | None = None  # nobody else's tokens

    def __init__(self, tokens_per_minute: int) -> None:
        self._most = tokens_per_minute * _BURST_SHARE
        self._per_ns = tokens_per_minute / _NS_PER_MINUTE
        self._level = self._most
        self._at: int | None = None

    def wait_ns(self, now: int) -> int:
        """How long until another request is allowed; 0: it is."""
        level = self._level_at(now)
        return 0 if level > 0.0 else int(-level / self._per_ns) + 1

    def take(self, tokens: float, now: int) -> None:
        """Use so many; negative gives back."""
        self._level = min(self._most, self._level_at(now) - tokens)
        self._at = now if self._at is None else max(now, self._at)

    def _level_at(self, now: int) -> float:
        if self._at is None:
            return self._level
        return min(self._most, self._level + max(0, now - self._at) * self._per_ns)


class SharedRate:
    """The same bound, where several routers share the tokens: this one's part of the bucket.

    Each may overdraw its part by one request.
    """

    __slots__ = ("allowance",)

    def __init__(self, tenant: str, tokens_per_minute: int) -> None:
        most = tokens_per_minute * _BURST_SHARE
        self.allowance = Allowance(Bucket(f"tokens/{tenant}", most, tokens_per_minute / 60))

    def wait_ns(self, now: int) -> int:
        """See RateBound; no sooner than the store may have given more."""
        level = self.allowance.level(now)
        if level > 0.0:
            return 0
        return max(_STORE_NS, int(-level / self.allowance.bucket.per_s * NS_PER_S))

    def take(self, tokens: float, now: int) -> None:
        """See RateBound."""
        self.allowance.use(tokens, now)


class TenantState:
    """One tenant's bound, and its counts."""

    __slots__ = ("admitted", "bound", "name", "refused", "tenant", "waiting", "work_tokens")

    def __init__(self, tenant: Tenant, *, shared: bool) -> None:
        self.tenant = tenant
        self.name = tenant.name
        per_minute = tenant.tokens_per_minute
        self.bound: RateBound | SharedRate | None = None
        if per_minute is not None:
            own, several = RateBound(per_minute), SharedRate(tenant.name, per_minute)
            self.bound = several if shared else own
        self.waiting = 0
        self.admitted = 0
        self.refused = 0
        self.work_tokens = 0.0


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
