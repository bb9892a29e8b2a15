"""What the rented replicas of one site cost while they work, and each request's share of it.

A metered replica is paid by the time in which it works for anybody: from when a request is sent to
it until its answer has ended. As many of those that work as are committed cost nothing more. What
the site costs at an instant is shared equally by the requests that are there, so that the shares of
all requests add up to the site's bill.
"""

from router.policy.fleet import Price
from router.policy.units import NS_PER_HOUR

_BYTES_PER_GIB = 1 << 30


class Meter:
    """The meter of one site, told of every attempt's beginning and end."""

    def __init__(self, price: Price) -> None:
        self._committed = price.committed_replicas
        self._usd_per_ns = price.metered_usd_per_replica_hour / NS_PER_HOUR
        self._egress_usd_per_byte = price.egress_usd_per_gib / _BYTES_PER_GIB
        self._in_flight: dict[str, int] = {}  # by replica
        self._busy = 0  # replicas with anything in flight
        self._all = 0  # requests in flight
        self._each_usd = 0.0  # that a request which was here from the start would owe
        self._at = 0

    def begin(self, replica: str, now: int) -> float:
        """An attempt is sent to a replica; the answer is the mark to give to `end`."""
        self._settle(now)
        count = self._in_flight.get(replica, 0)
        self._in_flight[replica] = count + 1
        self._all += 1
        if not count:
            self._busy += 1
        return self._each_usd

    def end(self, replica: str, mark_usd: float, egress_bytes: int, now: int) -> float:
        """An attempt ended; the answer is its share of the bill in US dollars, egress included."""
        self._settle(now)
        self._in_flight[replica] -= 1
        self._all -= 1
        if not self._in_flight[replica]:
            self._busy -= 1
        return self._each_usd - mark_usd + egress_bytes * self._egress_usd_per_byte

    def _settle(self, now: int) -> None:
        metered = self._busy - self._committed
        if metered > 0:
            self._each_usd += (now - self._at) * metered * self._usd_per_ns / self._all
        self._at = now
