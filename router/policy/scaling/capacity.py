"""What a replica of a site does within the objectives, in tokens of work a second, as it was seen.

The router uses sites in a fixed order and goes past one when it has no room that would be in time.
So whenever it does, what that site does is what it can do: its capacity is measured at the edge, in
passing, under the present mix of requests, objectives and all. And where nobody is sent past it, it
can do at least what it does.

Rejected: engine time from the predictor's costs. It is off by a factor of two under load, for a
prompt shares its steps with the streams beside it, and is no better for its theory.
"""

from collections.abc import Mapping
from typing import NamedTuple

from router.policy.registry import Registry
from router.policy.scaling.demand import Asked
from router.policy.tracked import Tracked
from router.policy.units import NS_PER_S

_LEARNED_AFTER = 20  # first tokens
_EXAMPLES_MAX = 32  # endpoints of a site that are looked at: they are alike
_PRIOR_SHARE = 0.7  # of the time in which a replica prefills, were it to do nothing else
_UNKNOWN_PER_S = 5_000.0  # before anything is known of any site
_PASSED = 0.3  # share of requests that went past a site which was full, and not only for a moment
_GAIN = 0.1  # of an observation of a full site
_RISE = 0.3  # of one that did more than was thought, and was not full


class SiteSample(NamedTuple):
    """One site as it is."""

    name: str
    serving: int  # replicas that take new turns
    work_tokens: float  # that were sent there, in all
    overflowed: int  # requests that came there since others had no room, in all
    token_ns: float  # of a prompt, as its first tokens say; 0: not known
    draining: bool = False  # an operator took it out, and it is left as it is


class Sample(NamedTuple):
    """What the scaler goes by at one time."""

    asked: Asked
    sites: tuple[SiteSample, ...]


def sample(asked: Asked, registry: Registry) -> Sample:
    """The state of a router's fleet as the scaler takes it."""
    at: dict[str, list[Tracked]] = {name: [] for name in registry.sites}
    for tracked in registry.by_name.values():
        if tracked.site.name in at:
            at[tracked.site.name].append(tracked)
    return Sample(
        asked,
        tuple(
            SiteSample(
                name,
                sum(_engines(one) for one in endpoints if _serves(one)),
                registry.sites[name].work_tokens,
                registry.sites[name].overflow_turns,
                _token_ns(endpoints),
                registry.sites[name].draining,
            )
            for name, endpoints in at.items()
        ),
    )


class Capacities:
    """Learns what a replica of each site does."""

    __slots__ = ("_full", "_per_s")

    def __init__(self) -> None:
        self._per_s: dict[str, float] = {}
        self._full: dict[str, int] = {}  # how often each was seen full

    def add(self, site: str, per_s: float, passed: float, fallback: float) -> None:
        """Observe a stretch of time in which each replica of a site did so much.

        `passed` is the share of all requests that went past it; `fallback` is what was believed.
        """
        known = self._per_s.get(site, fallback)
        if passed >= _PASSED:
            self._full[site] = self._full.get(site, 0) + 1
            gain = max(_GAIN, 1.0 / self._full[site])  # what is believed before may be far off
            self._per_s[site] = known + gain * (per_s - known)
        elif per_s > known:
            self._per_s[site] = known + _RISE * (per_s - known)

    def memory(self) -> dict[str, tuple[float, int]]:
        """What was seen, by site."""
        return {name: (per_s, self._full.get(name, 0)) for name, per_s in self._per_s.items()}

    def recall(self, memory: Mapping[str, tuple[float, int]]) -> None:
        """Go on with what was seen."""
        self._per_s = {name: per_s for name, (per_s, _) in memory.items()}
        self._full = {name: full for name, (_, full) in memory.items() if full}

    def per_s(self, sites: tuple[SiteSample, ...]) -> Mapping[str, float]:
        """Tokens of work a second of one replica of each: as seen, or by how fast it prefills.

        What sites that were seen do of what they would if they only prefilled, others do, too.
        """
        seen = {site.name: self._per_s[site.name] for site in sites if site.name in self._per_s}
        shares = [
            seen[site.name] * site.token_ns / NS_PER_S
            for site in sites
            if site.name in seen and site.token_ns > 0.0
        ]
        share = sum(shares) / len(shares) if shares else _PRIOR_SHARE
        found = dict(seen)
        for site in sites:
            if site.name not in seen and site.token_ns > 0.0:
                found[site.name] = share * NS_PER_S / site.token_ns
        usual = sum(found.values()) / len(found) if found else _UNKNOWN_PER_S
        return {site.name: max(1.0, found.get(site.name, usual)) for site in sites}


def _serves(tracked: Tracked) -> bool:
    return tracked.connected and not tracked.gone and not tracked.is_draining


def _engines(tracked: Tracked) -> int:
    return 1 if tracked.gateway is None else tracked.gateway.endpoints_up


def _token_ns(endpoints: list[Tracked]) -> float:
    known = [one for one in endpoints if one.ttft.count >= _LEARNED_AFTER][-_EXAMPLES_MAX:]
    return sum(one.ttft.token_ns for one in known) / len(known) if known else 0.0
