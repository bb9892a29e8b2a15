"""One plan tried: its replicas in the simulator behind the router's own core, under the demand."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from router.policy.core import RouterCore
from router.policy.fleet import Fleet, Price
from router.policy.units import NS_PER_HOUR, NS_PER_S, ns
from router.sim.lending import lends_of
from router.sim.plan import Lend, Scenario
from router.sim.record import TurnRecord
from router.sim.world import World
from spillway.planning.busy import committed as best_committed
from spillway.planning.busy import work
from spillway.planning.demand import Demand, Spell
from spillway.planning.offer import HOURS_OF_MONTH, Offer, fleet_of

_ENDS_LATER_NS = NS_PER_HOUR  # than a spell's last arrival does its last turn, at the most

REPORTS_OF_A_TURN = 8  # of all replicas: idle ones take no more time to simulate than turns do
REPORT_S_MIN, REPORT_S_MAX = 1.0, 5.0  # one router alone knows what it has sent, and needs few

SLOW_GAPS_SHARE = 0.05  # a turn keeps its objective between tokens if no more of its gaps miss it


@dataclass(frozen=True, slots=True)
class SitePlan:
    """What is rented of one site, or owned of it."""

    replicas: int
    committed: int
    usd_per_month: float


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a plan."""

    replicas: dict[str, int]  # by site
    attainment: float  # share of turns that kept their class's objectives
    ttft_p95_s: float  # of the heaviest spell
    sites: dict[str, SitePlan] = field(default_factory=dict)

    @property
    def usd_per_month(self) -> float:
        """Everything: home, commitments, metered hours, egress."""
        return sum(site.usd_per_month for site in self.sites.values())


def attempt(
    fleet: Fleet,
    offers: Sequence[Offer],
    replicas: Mapping[str, int],
    demand: Demand,
    notice_ns: int,
) -> Trial:
    """Run the demand on so many replicas of each site.

    What a site lends by its schedule is away; what runs on it then is cut off after the notice.
    """
    turns = kept = 0.0
    shares: dict[str, list[float]] = {offer.site.name: [] for offer in offers}
    egress_usd = dict.fromkeys(shares, 0.0)
    peak_s = 0.0
    for spell in demand.spells:
        lends = tuple(_lends(offers, replicas, demand.begins_minute, spell, notice_ns))
        records = _run(fleet, offers, replicas, spell, lends)
        good = sum(_keeps(record, fleet) for record in records)
        turns += spell.weight * len(records) / spell.lasts_s
        kept += spell.weight * good / spell.lasts_s
        for name, at_least in shares.items():
            _add(at_least, records, name, spell)
            per_s = sum(r.usd for r in records if r.site == name) / spell.lasts_s
            egress_usd[name] += spell.weight * per_s * 3600 * HOURS_OF_MONTH
        if spell is demand.spells[0]:
            peak_s = _p95([r.ttft_ns for r in records if not r.refused])
    sites = {
        offer.site.name: _priced(
            offer, replicas.get(offer.site.name, 0), shares[offer.site.name], egress_usd
        )
        for offer in offers
    }
    return Trial(dict(replicas), kept / turns if turns else 1.0, peak_s, sites)


def _run(
    fleet: Fleet,
    offers: Sequence[Offer],
    replicas: Mapping[str, int],
    spell: Spell,
    lends: tuple[Lend, ...],
) -> list[TurnRecord]:
    records: list[TurnRecord] = []
    scenario = Scenario(
        links={offer.site.name: offer.link for offer in offers},
        block_tokens=offers[0].profile.block_tokens,
        report_interval_ns=ns(_report_interval_s(sum(replicas.values()), spell)),
        # Only egress is charged inside: hours are priced afterwards, committed or metered.
        prices={
            offer.site.name: Price(egress_usd_per_gib=offer.site.price.egress_usd_per_gib)
            for offer in offers
            if not offer.is_home
        },
        lends=lends,
    )
    machines = [
        (name, offer.site.name, offer.profile)
        for offer in offers
        for name in _names(offer.site.name, replicas)
    ]
    core = RouterCore(fleet_of(fleet, {}))
    World(scenario, machines, [core], records.append).run(iter(spell.sessions))
    return records


def _report_interval_s(replicas: int, spell: Spell) -> float:
    most = REPORTS_OF_A_TURN * max(1, spell.turns)
    return min(REPORT_S_MAX, max(REPORT_S_MIN, replicas * spell.lasts_s / most))


def _names(site: str, replicas: Mapping[str, int]) -> list[str]:
    return [f"{site}/{index}" for index in range(replicas.get(site, 0))]


def _lends(
    offers: Sequence[Offer],
    replicas: Mapping[str, int],
    begins_minute: float,
    spell: Spell,
    notice_ns: int,
) -> Iterator[Lend]:
    for offer in offers:
        if offer.site.lending is not None:
            yield from lends_of(
                offer.site.lending,
                _names(offer.site.name, replicas),
                begins_minute=begins_minute + spell.begins_s / 60,
                lasts_ns=ns(spell.lasts_s) + _ENDS_LATER_NS,
                notice_ns=notice_ns,
            )


def _add(at_least: list[float], records: Sequence[TurnRecord], site: str, spell: Spell) -> None:
    """Add, with the spell's weight, in which share of it at least 1, 2, 3 ... replicas worked."""
    spent = work(
        (record.endpoint, record.sent_ns, record.sent_ns + record.end_to_end_ns)
        for record in records
        if record.site == site and not record.refused
    )
    at_least += [0.0] * (len(spent) - len(at_least))
    for index, worked_ns in enumerate(spent):
        at_least[index] += spell.weight * min(1.0, worked_ns / NS_PER_S / spell.lasts_s)


def _priced(
    offer: Offer, replicas: int, at_least: Sequence[float], egress_usd: Mapping[str, float]
) -> SitePlan:
    """The cheapest split into committed and metered replicas, and what it costs."""
    contract_usd, metered_usd = offer.committed_usd_per_hour, offer.metered_usd_per_hour
    fixed = replicas if offer.is_home else best_committed(at_least, contract_usd, metered_usd)
    hourly = fixed * contract_usd + sum(at_least[fixed:]) * metered_usd
    return SitePlan(replicas, fixed, hourly * HOURS_OF_MONTH + egress_usd[offer.site.name])


def _keeps(record: TurnRecord, fleet: Fleet) -> bool:
    if record.refused:
        return False
    objective_ns = fleet.slo(record.slo).ttft_objective_ns(record.prompt_tokens)
    return record.ttft_ns <= objective_ns and record.slow_gaps <= SLOW_GAPS_SHARE * (
        record.output_tokens - 1
    )


def _p95(ttft_ns: list[int]) -> float:
    if not ttft_ns:
        return float("inf")
    return sorted(ttft_ns)[int(0.95 * len(ttft_ns))] / NS_PER_S
