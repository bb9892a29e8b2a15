"""What the rented replicas of one site cost while they work, and each attempt's share of it.

By the definition that the live router's ledger has (`router.policy.meter`), over the attempts of
all routers: what a replica costs is paid by the time in which it works for anybody, from when a
request is sent to it until its answer has ended.
"""

from collections import Counter

from router.policy.fleet import Price, Site, SiteKind
from router.policy.meter import Share, SiteMeter
from router.policy.tariff import Tariff


class Meter:
    """The meter of one site, told of every attempt's beginning, first token and end."""

    def __init__(self, price: Price) -> None:
        site = Site("", SiteKind.RENTED, price=price)
        self._meter = SiteMeter(site)
        self._tariff = Tariff(site)
        self._in_flight: Counter[str] = Counter()  # by replica
        self.spent_usd = 0.0  # on attempts that have ended

    def begin(self, replica: str, prefill_ns: float, now: int) -> Share:
        """An attempt is sent to a replica, whose prompt takes so long there if nothing is cached.

        The answer is to be given to what follows.
        """
        self._in_flight[replica] += 1
        share = Share(prefill_ns)
        more = int(self._in_flight[replica] == 1)
        self._meter.begin(replica, share, now, streams=True, more=more)
        return share

    def first_token(self, replica: str, share: Share, now: int) -> None:
        """Its first token was heard."""
        self._meter.first_token(replica, share, now)

    def end(self, replica: str, share: Share, egress_bytes: int, now: int) -> float:
        """An attempt ended; the answer is its share of the bill in US dollars, egress included."""
        self._in_flight[replica] -= 1
        self._meter.end(replica, share, now, fewer=int(not self._in_flight[replica]))
        tariff = self._tariff
        metered_usd = share.metered_ns * tariff.metered_usd_per_ns
        usd = metered_usd + egress_bytes * tariff.egress_usd_per_byte
        self.spent_usd += usd
        return usd
