"""How many replicas each site should have, from forecast demand, capacity and prices.

For each site, in the order in which the router uses them (`router.policy.scaling.parts`):

- **up** when the forecast for the time at which another replica could serve, and as much more as
  forecasts have been off, needs it. A metered one is not asked for where the need is over before a
  quarter of what it would be billed for, unless requests are pressed already.
- **down** when for `spare_ns` fewer were needed; a metered one only as what is paid for ends, and
  not where the forecast wants it back before long: another start would cost more than staying.
- never beyond the site's bounds, less what is lent; metered ones never beyond its budgets.

A site that does not get what it was to have within twice its time to start counts with what it has,
so that others are asked instead.

Rejected: a controller of queue length, as autoscalers are. A queue is there when it is too late,
says the same of a burst of short prompts as of long answers, and knows no price.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from router.policy.fleet import Fleet, Site, SiteKind
from router.policy.scale import Scale
from router.policy.scaling import telling
from router.policy.scaling.capacity import Capacities, Sample, SiteSample
from router.policy.scaling.demand import Asked, Demand
from router.policy.scaling.forecast import Forecaster
from router.policy.scaling.headroom import Headroom
from router.policy.scaling.memory import Bill, Learned
from router.policy.scaling.money import Money
from router.policy.scaling.parts import needs, parts_of
from router.policy.scaling.stretch import Stretch
from router.policy.units import NS_PER_S

_ROUNDING = 0.03  # of a replica, that is too little to ask for another
_SPARE_MARGIN = 1.05  # by which the need is below what is kept, before anything is spare
_WORTH = 0.25  # of what it is billed for, that a metered replica must be needed
_LOOKS_AHEAD = 4  # times between now and the end of what would be billed
_ERRORS = 1.0  # standard deviations of the forecast that are planned for
_STUCK = 2  # times its time to start
_STUCK_MORE_NS = 60 * NS_PER_S
_LOOK_MIN_NS = NS_PER_S
DRAIN_NS = 60 * NS_PER_S  # as long as nearly every stream


@dataclass(frozen=True, slots=True)
class SiteWant:
    """What is wanted of one site, and why."""

    site: str
    wanted: int
    serving: int
    need: float  # unrounded, of the forecast
    replicas_min: int
    replicas_max: int  # with what is lent and what budgets allow
    reason: str
    paid_usd: float = 0.0  # for metered replicas since the start, as they are billed


class _Scaled:
    """One site that scales, between looks."""

    __slots__ = (
        "least",
        "money",
        "raised_ns",
        "scale",
        "site",
        "spare_most",
        "spare_since",
        "wanted",
    )

    def __init__(self, site: Site, scale: Scale, serving: int, now: int) -> None:
        self.money = Money(site.price, scale.billing_ns)
        self.change(site, scale, now)
        self.wanted = max(self.least, min(scale.replicas_max, serving))
        self.raised_ns = now
        self.spare_since: int | None = None
        self.spare_most = 0

    def change(self, site: Site, scale: Scale, now: int) -> None:
        """The fleet file says this of it from now on."""
        self.site, self.scale = site, scale
        self.money.adopt(site.price, scale.billing_ns, now)
        # To give back what is committed at a rented site saves nothing.
        sunk = site.price.committed_replicas if site.kind is SiteKind.RENTED else 0
        self.least = min(scale.replicas_max, max(scale.replicas_min, sunk))


class Scaler:
    """Looks at the fleet every few seconds and says what is wanted."""

    def __init__(self, fleet: Fleet, drain_ns: int = DRAIN_NS) -> None:
        """A replica that is given back goes so much later: its streams end."""
        self._drain_ns = drain_ns
        self._forecaster = Forecaster(fleet.autoscaling.level_ns)
        self.on_fleet(fleet)
        self._headroom = Headroom()
        self._capacities = Capacities()
        self._scaled: dict[str, _Scaled] = {}
        self._sites: tuple[Site, ...] = ()
        self._stretch: Stretch | None = None  # None before the first look
        self._last = Sample(Asked(), ())
        self._looked_ns = 0
        self._bills: dict[str, Bill] = {}  # of sites that were not found yet

    def learned(self) -> Learned:
        """What a router that comes after this one goes on with."""
        bills = {name: one.money.memory() for name, one in self._scaled.items()}
        return Learned(
            self._forecaster.memory(),
            self._headroom.limit,
            self._capacities.memory(),
            {**self._bills, **bills},
        )

    def recall(self, learned: Learned) -> None:
        """Go on with what was learned before; before the first look."""
        self._forecaster.recall(learned.forecasts)
        self._headroom.limit = learned.limit
        self._capacities.recall(learned.per_s)
        self._bills = dict(learned.bills)

    def on_fleet(self, fleet: Fleet) -> None:
        """The fleet is this one from now on; of sites that stay, what was learned stays."""
        self._fleet = fleet
        self._forecaster.set_level(fleet.autoscaling.level_ns)
        self._allowed = 1.0 - max(slo.confidence for slo in fleet.slo_classes)
        scales = [site.scale for site in fleet.sites if site.scale is not None]
        self._horizon_ns = max((scale.start_ns for scale in scales), default=NS_PER_S)

    @property
    def limit(self) -> float:
        """How busy replicas may be kept."""
        return self._headroom.limit

    def look(
        self, sample: Sample, unix_ns: int, away: Mapping[str, int], *, speed: float = 1.0
    ) -> tuple[SiteWant, ...]:
        """What is wanted of each site that scales, by the wall clock's time.

        `away` is how many of a site's replicas are lent; `speed` is how many seconds of the wall
        clock pass in one of the engines'.
        """
        first = self._stretch is None
        elapsed_ns = 0 if first else unix_ns - self._looked_ns
        if not first and elapsed_ns < _LOOK_MIN_NS:
            if elapsed_ns < 0:  # the wall clock was set back
                self._looked_ns, self._last = unix_ns, sample
            return ()
        self._follow(sample, unix_ns)
        if first:
            self._stretch = Stretch(sample, sample, 0.0, 0)
        else:
            self._observe(sample, elapsed_ns / speed / NS_PER_S, unix_ns)
        self._looked_ns, self._last = unix_ns, sample
        return tuple(self._wants(sample, away, unix_ns, elapsed_ns))

    def _follow(self, sample: Sample, now: int) -> None:
        """Keep the sites that scale: those of the fleet that the router knows."""
        serving = {site.name: site.serving for site in sample.sites}
        scales = {site.name: site for site in self._fleet.sites if site.name in serving}
        self._sites = tuple(scales.values())
        for name in self._scaled.keys() - scales.keys():
            del self._scaled[name]
        for name, site in scales.items():
            known = self._scaled.get(name)
            if site.scale is None:
                self._scaled.pop(name, None)
            elif known is None:
                self._scaled[name] = made = _Scaled(site, site.scale, serving[name], now)
                if (bill := self._bills.pop(name, None)) is not None:
                    made.money.recall(bill, now)
            elif known.site != site:
                known.change(site, site.scale, now)

    def _observe(self, sample: Sample, elapsed_s: float, now: int) -> None:
        """Learn from what was asked since the last look."""
        before, after = self._last.asked, sample.asked
        demand = Demand(
            (after.requests - before.requests) / elapsed_s,
            (after.prompt_tokens - before.prompt_tokens) / elapsed_s,
            (after.output_tokens - before.output_tokens) / elapsed_s,
        )
        self._forecaster.add(demand, self._horizon_ns, now)
        so_far = self._stretch or Stretch(sample, sample, 0.0, 0)
        stretch = Stretch(so_far.first, sample, so_far.elapsed_s + elapsed_s, so_far.looks + 1)
        if stretch.is_over:
            if stretch.is_telling:
                self._learn(stretch)
            stretch = Stretch(sample, sample, 0.0, 0)
        self._stretch = stretch

    def _learn(self, stretch: Stretch) -> None:
        """What sites did in a stretch of time, and whether that was too much."""
        sites = stretch.last.sites
        per_s = self._capacities.per_s(sites)
        past = stretch.pressed  # the share of requests that went past what is sunk
        for part in reversed(parts_of(self._sites, self._serving(sites), per_s)):
            serving = stretch.serving(part.site)
            if serving and part.metered == self._is_metered(part.site):
                done = stretch.work_per_s(part.site) / serving
                # Among metered sites prices decide as well: to go past one says nothing of it.
                passed = stretch.pressed if part.metered else past
                self._capacities.add(part.site, done, passed, per_s[part.site])
            if part.metered:
                past += stretch.overflowed(part.site)
        can_do = sum(site.serving * per_s[site.name] for site in sites)
        asked = stretch.asked_work / stretch.elapsed_s
        if can_do > 0.0:
            there = self._serving(sites)
            full = all(there[name] >= one.wanted for name, one in self._scaled.items())
            self._headroom.add(
                asked / can_do, stretch.missed, stretch.pressed, self._allowed, full=full
            )

    def _is_metered(self, site: str) -> bool:
        price = next(one.price for one in self._sites if one.name == site)
        return not price.committed_replicas and price.metered_usd_per_replica_hour > 0.0

    def _serving(self, sites: tuple[SiteSample, ...]) -> dict[str, int]:
        return {site.name: site.serving for site in sites}

    # -- the want --------------------------------------------------------------------------------

    def _wants(
        self, sample: Sample, away: Mapping[str, int], now: int, elapsed_ns: int
    ) -> Iterator[SiteWant]:
        found = {site.name: site for site in sample.sites}
        most = {
            name: self._most(one, away.get(name, 0), elapsed_ns, now)
            for name, one in self._scaled.items()
        }
        per_s = self._capacities.per_s(sample.sites)
        usable = {name: self._usable(one, most.get(name), now) for name, one in found.items()}
        parts = parts_of(self._sites, usable, per_s)

        def need(site: str, work_per_s: float) -> float:
            return needs(work_per_s, parts, per_s, self._headroom.limit)[site]

        current = self._forecaster.current(now)
        for name, one in self._scaled.items():
            demand = self._demand(one.scale.start_ns, current, now)
            needed = need(name, demand.work)
            later = [need(name, then.work) for then in self._ahead(one.scale, now)]
            was = one.wanted
            reason = self._decide(one, needed, later, most[name], found[name], elapsed_ns, now)
            if one.wanted > was:
                one.raised_ns = now
            one.money.set(max(0, one.wanted - one.site.price.committed_replicas), now)
            yield SiteWant(
                site=name,
                wanted=one.wanted,
                serving=found[name].serving,
                need=needed,
                replicas_min=min(one.least, most[name]),
                replicas_max=most[name],
                reason=telling.sentence(
                    reason, needed, current.requests, demand.requests, one.scale.start_ns
                ),
                paid_usd=one.money.paid_usd(now),
            )

    def _decide(
        self,
        one: _Scaled,
        needed: float,
        later: list[float],
        most: int,
        seen: SiteSample,
        elapsed_ns: int,
        now: int,
    ) -> str:
        """Set what is wanted of a site; the answer is why, in the words of `telling`."""
        least = min(one.least, most)
        if seen.draining:
            one.spare_since = None
            return telling.DRAINING
        one.wanted = max(least, one.wanted)
        target = max(least, min(most, ceil(needed - _ROUNDING)))
        if one.wanted > most:  # lent, or no money for it
            one.wanted, one.spare_since = most, None
            return telling.CAPPED
        if target > one.wanted:
            one.spare_since = None
            if self._is_worth(one, target, later):
                one.wanted = target
                return telling.GROWS
            return telling.SHORT_NEED
        kept = max(least, min(most, ceil(needed * _SPARE_MARGIN - _ROUNDING)))
        if kept >= one.wanted:
            one.spare_since = None
            return telling.AT_MOST if needed > most and one.wanted == most else telling.ENOUGH
        if one.spare_since is None:
            one.spare_since, one.spare_most = now, kept
        one.spare_most = max(one.spare_most, kept)
        if now - one.spare_since < one.scale.spare_ns:
            return telling.SPARE
        return self._give_back(one, later, elapsed_ns, now)

    def _is_worth(self, one: _Scaled, target: int, later: list[float]) -> bool:
        """Whether a further replica is needed for long enough to be asked for."""
        if target <= one.site.price.committed_replicas or one.money.is_free:
            return True
        if self._headroom.is_pressed:
            return True
        worth = later[: max(1, round(_WORTH * len(later)))]
        return all(ceil(need - _ROUNDING) > one.wanted for need in worth)

    def _give_back(self, one: _Scaled, later: list[float], elapsed_ns: int, now: int) -> str:
        committed = one.site.price.committed_replicas
        fewer = one.spare_most
        if one.wanted > committed and not one.money.is_free:
            back = sum(need > fewer + _ROUNDING for need in later)
            if 2 * back >= len(later):
                return telling.WANTED_BACK
            ending = one.money.ending(2 * elapsed_ns + self._drain_ns, now)
            fewer = max(fewer, min(one.wanted, max(committed, one.wanted - ending)))
            if fewer >= one.wanted:
                return telling.PAID
        one.wanted = fewer
        if fewer <= one.spare_most:
            one.spare_since = None
        return telling.SHRINKS

    def _most(self, one: _Scaled, away: int, elapsed_ns: int, now: int) -> int:
        """The most that a site may have: its bound less what is lent, and what is affordable."""
        most = max(0, one.scale.replicas_max - away)
        metered = one.money.metered_max(2 * elapsed_ns, now)
        if metered is not None:
            most = min(most, one.site.price.committed_replicas + metered)
        return most

    def _usable(self, seen: SiteSample, most: int | None, now: int) -> int:
        """With how many replicas of a site one may reckon."""
        if seen.draining:
            return 0
        if most is None:
            return seen.serving
        one = self._scaled[seen.name]
        stuck_ns = _STUCK * one.scale.start_ns + _STUCK_MORE_NS
        if seen.serving < one.wanted and now - one.raised_ns > stuck_ns:
            return min(most, seen.serving)
        return most

    def _demand(self, ahead_ns: int, current: Demand, now: int) -> Demand:
        """The most that is asked until so far ahead, with what the forecast may be off."""
        then = self._forecaster.at(now + ahead_ns, now)
        most = then if then.work > current.work else current
        return most.times(1.0 + _ERRORS * self._forecaster.error(now))

    def _ahead(self, scale: Scale, now: int) -> list[Demand]:
        """The middle of the forecast, over the time that a replica asked for now is billed."""
        billed_ns = max(scale.billing_ns, 2 * scale.start_ns)
        return [
            self._forecaster.at(now + scale.start_ns + billed_ns * step // _LOOKS_AHEAD, now)
            for step in range(1, _LOOKS_AHEAD + 1)
        ]
