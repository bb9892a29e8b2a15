"""A storm: a small fleet, the requests that come, and everything that goes wrong, from one seed."""

import random
from dataclasses import dataclass, replace
from enum import Enum

from router.policy.fleet import Fleet, Limits, Price, Site, SiteKind, SloClass, Tenant
from router.policy.identity import EngineIdentity
from router.policy.resume import TEXT
from router.policy.units import NS_PER_MS, NS_PER_S

MODEL = "storm"
WEIGHTS = "weights"
"""What most endpoints run, and one that does not say."""

PENALTIES = "penalties"
"""Stands for every feature that some endpoints restore when a stream goes on there, some not."""

LASTS_NS = 12 * NS_PER_S  # requests come, and faults begin and end, within it
DEADLINE_NS = 90 * NS_PER_S


ROOMY_SLOTS = 32
"""Of an endpoint that has room for nearly all that a storm asks at once."""


class Kind(Enum):
    """What goes wrong. An endpoint's own trouble, its site's, its link's, or the router's."""

    KILLED = "killed"  # connections break at once; back later, empty
    HANGS = "hangs"  # connections stay, nothing is said; goes on later, with what it had
    SITE_KILLED = "site killed"
    BLACK_HOLE = "black hole"  # the link holds everything up, and delivers it later
    RESET = "reset"  # connections break, and can be made again at once
    SLOW = "slow"  # the link takes fifty times as long
    HALF_OPEN = "half open"  # the endpoint has lost the connections, the router is not told
    FAILS = "fails"  # every request is answered with an error, at once
    FULL = "full"  # every request is answered with RESOURCE_EXHAUSTED
    DRAINED = "drained"  # by the operator: the site
    LEAVES = "leaves"  # unlisted; listed again later
    FROZEN = "reports frozen"
    EMPTY = "reports empty"
    LATE = "reports late"
    TWICE = "reports twice and out of order"
    RELOADED = "fleet file reloaded"  # the fleet is another one, and later what it was
    SUSPENDED = "router suspended"  # its clock jumps, and all that was due comes late


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. Its tokens are known beforehand, unless it draws without a seed."""

    id: str
    at_ns: int
    prompt_tokens: int
    output_tokens: int
    session: str
    features: tuple[str, ...]
    repeatable: bool
    cancelled_after_ns: int | None  # the client goes
    prompt: str  # what it is known by
    poison: bool = False  # it kills the engine that prefills it
    slo: str = ""
    repeats: int = 0  # its client asks again so often, whatever it is told


@dataclass(frozen=True, slots=True)
class Station:
    """One endpoint."""

    name: str
    site: str
    identity: EngineIdentity
    slots: int
    step_ns: int


@dataclass(frozen=True, slots=True)
class Strike:
    """One fault."""

    kind: Kind
    target: str  # an endpoint, or a site
    at_ns: int
    until_ns: int


@dataclass(frozen=True, slots=True)
class Storm:
    """All of it."""

    seed: int
    fleet: Fleet
    stations: tuple[Station, ...]
    link_ns: dict[str, int]  # one way, by site
    asks: tuple[Ask, ...]
    strikes: tuple[Strike, ...]

    def changed(self, strike: Strike) -> Fleet:
        """The fleet as a reload of its file finds it."""
        rng = random.Random(strike.at_ns)
        fleet = self.fleet
        sites = [one for one in fleet.sites if one.name != strike.target or one is fleet.sites[0]]
        if rng.random() < _REPRICED:
            sites = [_repriced(one, rng) for one in sites]
        slo = fleet.slo_classes[0]
        if rng.random() < _RENAMED:
            slo = replace(slo, name=_OTHER_CLASS, confidence=0.5)
        return replace(
            fleet,
            sites=tuple(sites),
            slo_classes=(slo,),
            default_slo=slo.name,
            limits=_limits(rng),
            tenants=(Tenant("late", weight=3, tokens_per_minute=1_000_000),),
        )

    @property
    def fleets(self) -> tuple[Fleet, ...]:
        """Every fleet that its router has in its time."""
        reloads = (one for one in self.strikes if one.kind is Kind.RELOADED)
        return (self.fleet, *map(self.changed, reloads))

    @property
    def suspended_ns(self) -> int:
        """For how long the router is not run, all in all."""
        return sum(one.until_ns - one.at_ns for one in self.strikes if one.kind is Kind.SUSPENDED)

    @property
    def asked_at_once(self) -> int:
        """Requests that come while the router is not run: all are sent before one is answered."""
        return sum(
            any(
                strike.kind is Kind.SUSPENDED and strike.at_ns <= ask.at_ns <= strike.until_ns
                for strike in self.strikes
            )
            for ask in self.asks
        )

    @property
    def has_poison(self) -> bool:
        """Whether some prompt kills engines."""
        return any(ask.poison for ask in self.asks)

    @property
    def refuge(self) -> Station | None:
        """An endpoint at home that nothing befalls, with room, and all that a stream needs."""
        struck = {strike.target for strike in self.strikes}
        suspended = any(strike.kind is Kind.SUSPENDED for strike in self.strikes)
        if suspended or self.has_poison:
            return None
        for station in self.stations:
            whole = station.identity.weights == WEIGHTS and PENALTIES in station.identity.restores
            if (
                station.site == _SITES[0]
                and whole
                and station.slots == ROOMY_SLOTS
                and not struck & {station.name, station.site}
            ):
                return station
        return None


_OF_A_SITE = frozenset(
    {Kind.SITE_KILLED, Kind.BLACK_HOLE, Kind.RESET, Kind.SLOW, Kind.HALF_OPEN, Kind.DRAINED}
    | {Kind.RELOADED}
)
_SITES = ("home", "near", "far")
_USD_PER_REPLICA_HOUR = 3_600.0  # a dollar a second, so that a budget is met within a storm
_BUDGET_USD_PER_HOUR = 40.0
_HEDGE_USD_PER_HOUR = 10.0
_POISONED_SHARE = 0.15  # of storms, and in a third of those two prompts kill engines
_REPRICED, _RENAMED = 0.5, 0.5  # of reloads: other budgets; another class instead of the one
_OTHER_CLASS = "other"
_NAMING = 0.3  # of requests: those that name their class
_NEIGHBOURS = 4  # requests that come with a poison


def storm_of(seed: int) -> Storm:
    """The storm of this seed."""
    rng = random.Random(seed)
    sites = _SITES[: rng.randint(1, 3)]
    mixed = rng.random() < 0.3
    stations = tuple(
        _station(f"{site}/{index}", site, rng, mixed=mixed)
        for site in sites
        for index in range(rng.randint(1, 3))
    )
    return Storm(
        seed,
        _fleet(sites, rng),
        stations,
        {site: rng.randint(1, 20) * NS_PER_MS * index for index, site in enumerate(sites, 1)},
        _asks(rng),
        tuple(
            strike for _ in range(rng.randint(1, 8)) for strike in [_strike(stations, sites, rng)]
        ),
    )


def _fleet(sites: tuple[str, ...], rng: random.Random) -> Fleet:
    budget = rng.choice((None, _BUDGET_USD_PER_HOUR))
    rented = Price(metered_usd_per_replica_hour=_USD_PER_REPLICA_HOUR, budget_usd_per_hour=budget)
    return Fleet(
        sites=tuple(
            Site(name, SiteKind.RENTED, price=rented) if index else Site(name, SiteKind.HOME)
            for index, name in enumerate(sites)
        ),
        slo_classes=(
            SloClass(
                "default",
                ttft_ns=NS_PER_S,
                itl_ns=200 * NS_PER_MS,
                hedge_share=rng.choice((0.0, 0.1, 1.0)),
                hedge_usd_per_hour=rng.choice((0.0, _HEDGE_USD_PER_HOUR)),
            ),
        ),
        default_slo="default",
        limits=_limits(rng),
    )


def _limits(rng: random.Random) -> Limits:
    return Limits(
        sessions_max=rng.choice((4, 1000)),
        resume_burst=rng.choice((3, 20_000)),
        retry_burst=rng.choice((2, 10)),
    )


def _repriced(site: Site, rng: random.Random) -> Site:
    budget = rng.choice((_BUDGET_USD_PER_HOUR / 2, _BUDGET_USD_PER_HOUR))
    return replace(site, price=replace(site.price, budget_usd_per_hour=budget))


def _station(name: str, site: str, rng: random.Random, *, mixed: bool) -> Station:
    """Most run one model and restore everything, some less. The rest depends on the storm.

    Where models are mixed under one name, each endpoint says which it runs: one that says nothing
    is taken at its name. Elsewhere some say nothing.
    """
    restores = (TEXT, PENALTIES) if rng.random() < 0.7 else (TEXT,)
    identity = EngineIdentity(WEIGHTS, "tokenizer", "numerics", restores)
    if mixed and rng.random() < 0.4:
        identity = EngineIdentity("other", "tokenizer", "numerics", restores)
    elif not mixed and rng.random() < 0.15:
        identity = EngineIdentity()
    return Station(
        name,
        site,
        identity,
        slots=rng.choice((2, 8, ROOMY_SLOTS)),
        step_ns=rng.randint(10, 60) * NS_PER_MS,
    )


def _asks(rng: random.Random) -> tuple[Ask, ...]:
    asks = [_ask(index, rng) for index in range(rng.randint(5, 40))]
    if rng.random() < _POISONED_SHARE:
        for index in rng.sample(range(len(asks)), rng.choice((1, 1, 2))):
            asks[index] = poison = replace(
                asks[index], poison=True, repeats=rng.randrange(6), cancelled_after_ns=None
            )
            for near in rng.sample(range(len(asks)), _NEIGHBOURS):
                at_ns = poison.at_ns + rng.randrange(20 * NS_PER_MS)
                asks[near] = replace(asks[near], at_ns=at_ns)
    return tuple(asks)


def _ask(index: int, rng: random.Random) -> Ask:
    plain = rng.random() < 0.7
    return Ask(
        id=f"ask-{index}",
        at_ns=rng.randrange(LASTS_NS),
        prompt_tokens=rng.choice((1, 20, 500, 4_000)),
        output_tokens=rng.choice((1, 2, 40, 120)),
        session=f"session-{rng.randrange(8)}" if rng.random() < 0.7 else "",
        features=(TEXT,) if plain else (TEXT, PENALTIES),
        repeatable=rng.random() < 0.8,
        cancelled_after_ns=rng.randrange(3 * NS_PER_S) if rng.random() < 0.1 else None,
        prompt=f"prompt-{index}",
        slo="default" if rng.random() < _NAMING else "",
    )


def _strike(stations: tuple[Station, ...], sites: tuple[str, ...], rng: random.Random) -> Strike:
    kind = rng.choice(tuple(Kind))
    target = rng.choice(sites) if kind in _OF_A_SITE else rng.choice(stations).name
    at_ns = rng.randrange(LASTS_NS)
    return Strike(kind, target, at_ns, at_ns + rng.randint(50, 6_000) * NS_PER_MS)
