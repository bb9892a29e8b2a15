"""How many calls of each tenant are open at this router, where that is bounded."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from router.live.incoming import Incoming
from router.policy.fleet import DEFAULT_TENANT, Tenant


class TenantStreams:
    """Counts the calls of the tenants that the fleet file names; some have a `streams_max`."""

    def __init__(self, tenants: Mapping[str, Tenant]) -> None:
        self._tenants = tenants
        self._open: Counter[str] = Counter()

    def counts(self, tenant: str) -> bool:
        """Whether this tenant's are counted."""
        return bool(self._counted(tenant))

    def begin(self, incoming: Incoming) -> Incoming:
        """A call comes in, and its request says how many of its tenant's are open beside it."""
        tenant = incoming.request.tenant
        name = tenant if tenant in self._tenants else DEFAULT_TENANT
        if name not in self._tenants:
            return incoming
        open_streams = self._open[name]
        self._open[name] += 1
        if not self._counted(name):  # as yet: its terms may become others
            return replace(incoming, counted_as=name)
        request = replace(incoming.request, open_streams=open_streams)
        return replace(incoming, counted_as=name, request=request)

    def end(self, incoming: Incoming) -> None:
        """A call that began has ended."""
        name = incoming.counted_as
        if name:
            self._open[name] -= 1
            if not self._open[name]:
                del self._open[name]

    def __len__(self) -> int:
        return self._open.total()

    def _counted(self, tenant: str) -> str:
        """The name that its calls are counted by; empty where nobody does."""
        name = tenant if tenant in self._tenants else DEFAULT_TENANT
        terms = self._tenants.get(name)
        return "" if terms is None or terms.streams_max is None else name
