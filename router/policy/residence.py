"""Whose data may not leave home: a class says so of its requests, a tenant of all that are its."""

from collections.abc import Iterable
from dataclasses import replace

from router.policy.fleet import DEFAULT_TENANT, Fleet, SloClass


class Residence:
    """A class as it is for the requests of a tenant."""

    def __init__(self, fleet: Fleet, former: Iterable[SloClass] = ()) -> None:
        """`former` are classes that the fleet has no longer, of requests that it still has."""
        named = {tenant.name: tenant.home_only for tenant in fleet.tenants}
        self._default = named.get(DEFAULT_TENANT, False)
        self._home_only = named if any(named.values()) else {}
        classes = (*former, *fleet.slo_classes)
        self._at_home = {slo.name: replace(slo, home_only=True) for slo in classes}

    def of(self, tenant: str, slo: SloClass) -> SloClass:
        """The class, kept at home where the tenant must be; who is not known is the default."""
        if self._home_only and self._home_only.get(tenant, self._default):
            return self._at_home[slo.name]
        return slo
