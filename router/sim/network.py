"""The network of a simulated world: how long messages take, and which sites are cut off.

A message to or from a site that is cut off waits until the way is open again, as a connection
retransmits what was not acknowledged. Messages do not queue behind each other: answers are small
and links wide, so that bandwidth only adds what a long prompt takes to send.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Mapping

from router.policy.units import NS_PER_S
from router.sim.clock import Clock
from router.sim.plan import Link


class Network:
    """The links between the routers and the sites."""

    def __init__(self, links: Mapping[str, Link], clock: Clock, rng: random.Random) -> None:
        self._links, self._clock, self._rng = links, clock, rng
        self._cut: dict[str, list[tuple[Callable[..., None], tuple[object, ...]]]] = {}
        self._cuts: dict[str, int] = defaultdict(int)  # partitions may overlap

    def way_ns(self, site: str, size_bytes: int = 0) -> int:
        """One way to or from a site, for one message."""
        link = self._links[site]
        way_ns = link.rtt_ns // 2
        if link.jitter_ns:
            way_ns += self._rng.randrange(link.jitter_ns)
        if link.tail_ns:
            way_ns += int(self._rng.expovariate(1 / link.tail_ns))
        if link.bytes_per_s:
            way_ns += size_bytes * NS_PER_S // link.bytes_per_s
        return way_ns

    def request_ns(self, site: str, size_bytes: int) -> int:
        """From a router into a site's engine, for a request."""
        way_ns = self.way_ns(site, size_bytes)
        intake_ns = self._links[site].intake_ns
        return way_ns + int(self._rng.expovariate(1 / intake_ns)) if intake_ns else way_ns

    def round_trip_ns(self, site: str) -> int:
        """One measured round trip."""
        return self.way_ns(site) + self.way_ns(site)

    def varies(self, site: str) -> bool:
        """Whether one round trip differs from the next."""
        link = self._links[site]
        return bool(link.jitter_ns or link.tail_ns)

    def deliver(self, site: str, at_ns: int, call: Callable[..., None], *given: object) -> None:
        """Call at `at_ns`, or once the site is no longer cut off."""
        held = self._cut.get(site)
        if held is None:
            self._clock.at(at_ns, call, *given)
        else:
            held.append((call, given))

    def is_cut(self, site: str) -> bool:
        """Whether nothing gets through."""
        return site in self._cut

    def cut(self, site: str) -> None:
        """Nothing more gets through to or from the site; what is under way does."""
        self._cuts[site] += 1
        self._cut.setdefault(site, [])

    def heal(self, site: str) -> None:
        """The way is open again."""
        self._cuts[site] -= 1
        if not self._cuts[site]:
            for call, given in self._cut.pop(site):
                self._clock.at(self._clock.now + self.way_ns(site), call, *given)
