"""Whose a request is, and whether its rate allows one more.

Only tenants of the fleet file are told apart: a name that a client makes up is the default
tenant's, so no table grows with what clients send, and nobody gains a share by a new name.
"""

from router.policy.fleet import DEFAULT_TENANT, Fleet, Tenant
from router.policy.units import NS_PER_S

_NS_PER_MINUTE = 60 * NS_PER_S
_BURST_SHARE = 0.25  # of a minute's tokens


class RateBound:
    """A bucket of tokens that fills at a steady rate.

    It may be overdrawn by one request: a prompt longer than the bucket is not refused for ever.
    """

    __slots__ = ("_at", "_level", "_most", "_per_ns")

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


class TenantState:
    """One tenant's bound, and its counts."""

    __slots__ = ("admitted", "bound", "name", "refused", "tenant", "waiting", "work_tokens")

    def __init__(self, tenant: Tenant) -> None:
        self.tenant = tenant
        self.name = tenant.name
        per_minute = tenant.tokens_per_minute
        self.bound = None if per_minute is None else RateBound(per_minute)
        self.waiting = 0
        self.admitted = 0
        self.refused = 0
        self.work_tokens = 0.0


class Tenants:
    """The fleet's tenants by name, the default one among them."""

    def __init__(self, fleet: Fleet) -> None:
        self.by_name = {tenant.name: TenantState(tenant) for tenant in fleet.tenants}
        self._default = self.by_name.setdefault(DEFAULT_TENANT, TenantState(Tenant(DEFAULT_TENANT)))
        self.weights = {name: float(one.tenant.weight) for name, one in self.by_name.items()}

    def of(self, name: str) -> TenantState:
        """The tenant that this name of a client's stands for."""
        return self.by_name.get(name, self._default)
