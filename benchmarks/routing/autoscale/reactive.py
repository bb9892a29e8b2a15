"""The rival: Ray Serve's own autoscaler, which goes by the mean of ongoing requests.

Its rule and defaults are those that Serve documents: replicas = ongoing requests / target, over a
look-back of 30 s; up once that has held for 30 s, down once it has for 600 s; no smoothing. Serve
has one such autoscaler at each site, which cannot start a metered site from nothing: a router sends
it no request while it has no replica. Here it is one for the fleet, which is better: it sees all
that is ongoing, what waits in the router included, and fills home, then what is committed, then the
cheapest metered site first, as ours does. Its target is searched for, by who runs this.
"""

from collections import deque
from collections.abc import Mapping
from math import ceil

from benchmarks.routing.autoscale.week import SCALES, USD_PER_HOUR, ScaledWeek
from router.policy.units import NS_PER_S
from router.sim.autoscaling import Seen

LOOK_BACK_NS = 30 * NS_PER_S
UPSCALE_DELAY_NS = 30 * NS_PER_S
DOWNSCALE_DELAY_NS = 600 * NS_PER_S
INTERVAL_NS = 10 * NS_PER_S
COMMITTED = 2
ORDER = ("home", *sorted(USD_PER_HOUR, key=USD_PER_HOUR.__getitem__))


class Reactive:
    """Serve's default policy over the fleet's replicas."""

    def __init__(self, week: ScaledWeek, target: float, initial: int) -> None:
        self._week, self._target = week, target
        self._ongoing: deque[tuple[int, int]] = deque()
        self._replicas = initial
        self._since_ns: int | None = None  # that it has wanted more, or fewer,
        self._wants_more = False

    def __call__(self, seen: Seen) -> Mapping[str, int]:
        """What each site is to have."""
        now = self._week.unix_ns(seen.now)
        self._ongoing.append((now, seen.ongoing))
        while self._ongoing[0][0] <= now - LOOK_BACK_NS:
            self._ongoing.popleft()
        mean = sum(count for _, count in self._ongoing) / len(self._ongoing)
        self._follow(ceil(mean / self._target), now)
        return self._filled(self._week.away(seen.now))

    def _follow(self, desired: int, now: int) -> None:
        if desired == self._replicas:
            self._since_ns = None
            return
        more = desired > self._replicas
        if self._since_ns is None or more != self._wants_more:
            self._since_ns, self._wants_more = now, more
        delay_ns = UPSCALE_DELAY_NS if more else DOWNSCALE_DELAY_NS
        if now - self._since_ns >= delay_ns:
            self._replicas, self._since_ns = desired, None

    def _filled(self, away: Mapping[str, int]) -> dict[str, int]:
        left = self._replicas - COMMITTED
        found = {}
        for site in ORDER:
            scale = SCALES[site]
            most = scale.replicas_max - away.get(site, 0)
            found[site] = max(scale.replicas_min, min(most, left))
            left -= found[site]
        return found
