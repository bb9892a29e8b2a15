"""Recent TTFT and ITL of each site, as this router saw them."""

from typing import Final, NamedTuple

from router.observe.event import Event, FleetChanged
from router.observe.recent_quantiles import RecentQuantiles
from router.policy.outcome import Ended, FirstToken
from router.policy.units import NS_PER_S

WINDOW_NS: Final = 60 * NS_PER_S
"""Percentiles speak of the last one to two minutes: long enough for a p99, short enough to see a
surge in them."""


SITES_MAX: Final = 256
"""Of which percentiles are kept, those that a reload took out among them."""


class Percentiles(NamedTuple):
    """Nanoseconds; 0 while nothing is known."""

    ttft_ns_p50: int
    ttft_ns_p99: int
    itl_ns_p50: int
    itl_ns_p99: int


class _Site:
    def __init__(self) -> None:
        self.ttft = RecentQuantiles(WINDOW_NS)
        self.itl = RecentQuantiles(WINDOW_NS)


class SiteLatency:
    """Takes attempts, gives percentiles.

    ITL is a stream's mean gap, over the streams that ended: no clock is read for each message.
    """

    def __init__(self, sites: tuple[str, ...]) -> None:
        self._sites = {site: _Site() for site in sites}

    def on_event(self, event: Event) -> None:
        """See Sink: the sites may be others. What ends of one that is gone still counts for it."""
        if isinstance(event.happening, FleetChanged):
            for name in [site.name for site in event.happening.fleet.sites]:
                self._sites[name] = self._sites.pop(name) if name in self._sites else _Site()
            while len(self._sites) > max(SITES_MAX, len(event.happening.fleet.sites)):
                del self._sites[next(iter(self._sites))]

    def on_first_token(self, site: str, first: FirstToken, now_ns: int) -> None:
        """See AttemptListener."""
        if site in self._sites:  # and not dropped, while a stream of it was open
            self._sites[site].ttft.add(first.ttft_ns, now_ns)

    def on_ended(self, site: str, ended: Ended, itl_ns: int | None, now_ns: int) -> None:
        """See AttemptListener."""
        _ = ended
        if itl_ns is not None and site in self._sites:
            self._sites[site].itl.add(itl_ns, now_ns)

    def percentiles(self, site: str, now_ns: int) -> Percentiles:
        """Of the last one to two minutes."""
        seen = self._sites.get(site)
        if seen is None:
            return Percentiles(0, 0, 0, 0)
        return Percentiles(
            seen.ttft.quantile_ns(0.5, now_ns),
            seen.ttft.quantile_ns(0.99, now_ns),
            seen.itl.quantile_ns(0.5, now_ns),
            seen.itl.quantile_ns(0.99, now_ns),
        )
