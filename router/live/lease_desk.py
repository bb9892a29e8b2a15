"""Signs leases for clients and passes for this router itself, and knows those that come back."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from router.live.timed_core import now_ns
from router.policy.units import NS_PER_S
from wire.lease_keys import read_lease_keys
from wire.spillway.v1.lease import LEASE_KEY, LeaseError, open_lease, sign
from wire.spillway.v1.lease_pb2 import Lease
from wire.status import Metadata

_PASS_LIFE_NS: Final = 60 * NS_PER_S
"""Long against the clocks of two machines, which are all that sets an expiry before the first load
report; short against the time for which one that was found would be of use."""

Pairs = Iterable[tuple[str, str | bytes]]


class _Pass(NamedTuple):
    instance: str
    renew_ns: int
    metadata: Metadata


class LeaseDesk:
    """The keys of one router. Without any it signs nothing."""

    def __init__(self, router: str, key_file: Path | None) -> None:
        """Raises LeaseKeyError for a file, or an environment, without usable keys."""
        self._router = router
        self._keys = read_lease_keys(key_file, os.environ)
        self._passes: dict[str, _Pass] = {}  # by endpoint

    @property
    def signs(self) -> bool:
        """Whether there is a key."""
        return bool(self._keys)

    def lease(self, lease: Lease) -> str:
        """A lease of this router, signed."""
        lease.issuer = self._router
        return sign(lease, self._keys[0])

    def pass_for(self, endpoint: str, instance: str, clock_unix_ns: int) -> Metadata:
        """What lets this router's own requests in at an instance, by whose clock it is now.

        Nothing without a key, and for an endpoint that has not said who it is.
        """
        if not (self._keys and instance):
            return ()
        now, known = now_ns(), self._passes.get(endpoint)
        if known is None or known.instance != instance or now >= known.renew_ns:
            lease = Lease(
                audience=instance,
                expires_unix_ns=clock_unix_ns + _PASS_LIFE_NS,
                pass_through=True,
            )
            known = _Pass(instance, now + _PASS_LIFE_NS // 2, ((LEASE_KEY, self.lease(lease)),))
            self._passes[endpoint] = known
        return known.metadata

    def forget(self, endpoint: str) -> None:
        """An endpoint is listed no more."""
        self._passes.pop(endpoint, None)

    def opened(self, text: str | bytes) -> Lease | None:
        """A client's lease that some router of this fleet gave it; None for anything else."""
        try:
            lease = open_lease(text, self._keys)
        except LeaseError:
            return None
        return None if lease.pass_through else lease

    def is_own(self, lease: Lease) -> bool:
        """Whether this very router gave it."""
        return lease.issuer == self._router
