"""The week with sites that scale, and what each of its replicas costs as it is billed.

The scenario is `week` of the comparison: its fleet, prices, links, demand and nights. Home and the
metered sites scale; near is committed and stays. Times to start and what is billed are of the
week's own time.
"""

from dataclasses import dataclass, replace

from benchmarks.routing.scenarios.week import EAST_USD, HOMES, NIGHTS, WEST_USD, build
from benchmarks.routing.setup import Options, Setup
from router.policy.fleet import Fleet
from router.policy.lending import NS_PER_MINUTE, minute_of_week
from router.policy.scale import Scale
from router.policy.units import NS_PER_HOUR
from router.sim.autoscaling import Life

SUNDAY_NS = 3 * 24 * NS_PER_HOUR  # the week begins on one, and 1970 on a Thursday
RENTED_EACH = 3
SCALES = {
    "home": Scale(1, HOMES, start_ns=3 * NS_PER_MINUTE),
    "east": Scale(0, RENTED_EACH, start_ns=10 * NS_PER_MINUTE, billing_ns=NS_PER_HOUR),
    "west": Scale(0, RENTED_EACH, start_ns=10 * NS_PER_MINUTE, billing_ns=NS_PER_MINUTE),
}
USD_PER_HOUR = {"east": EAST_USD, "west": WEST_USD}
INITIAL = {"home": HOMES - 1, "east": 0, "west": 0}  # it begins at midnight, and lends one


@dataclass(frozen=True, slots=True)
class ScaledWeek:
    """The scenario in which lending lowers what home may have, and the fleet with its scales."""

    setup: Setup
    fleet: Fleet
    clock: float

    def unix_ns(self, now: int) -> int:
        """The week's wall clock, at a time of the simulation."""
        return SUNDAY_NS + round(now * self.clock)

    def away(self, now: int) -> dict[str, int]:
        """How many replicas of each site are lent."""
        return {"home": NIGHTS.lent(minute_of_week(self.unix_ns(now)))}

    def in_world(self, week_ns: int) -> int:
        """A time of the week's, in the simulation's."""
        return max(1, round(week_ns / self.clock))


def scaled(options: Options, clock: float) -> ScaledWeek:
    """The week in which sites scale."""
    setup = build(options, clock)
    sites = tuple(replace(site, scale=SCALES.get(site.name)) for site in setup.fleet.sites)
    fleet = replace(setup.fleet, sites=sites)
    world = replace(setup.world, lends=())  # what is lent is what home may not have
    return ScaledWeek(replace(setup, fleet=fleet, world=world), fleet, clock)


def hours(lives: list[Life], clock: float) -> dict[str, float]:
    """Replica hours by site, of the week's time."""
    found = dict.fromkeys(SCALES, 0.0)
    for life in lives:
        found[life.site] += (life.gone_ns - life.asked_ns) * clock / NS_PER_HOUR
    return found


def metered_usd(lives: list[Life], clock: float) -> dict[str, float]:
    """What each metered site bills: what has begun is paid for."""
    found = dict.fromkeys(USD_PER_HOUR, 0.0)
    for life in lives:
        if life.site in found:
            billing_ns = SCALES[life.site].billing_ns
            was_there_ns = round((life.gone_ns - life.asked_ns) * clock)
            billed_ns = -(-was_there_ns // billing_ns) * billing_ns
            found[life.site] += billed_ns / NS_PER_HOUR * USD_PER_HOUR[life.site]
    return found
