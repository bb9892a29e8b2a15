"""Tells the core which endpoints are lent: by the fleet's schedule, by operators, and by the clock.

Which of a site's endpoints are lent changes as little as can be: those that are stay lent while as
many are. What has already been taken from the list of endpoints is not taken a second time.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from router.live.roster import Roster
from router.live.scaling_crew import ScalingCrew
from router.live.timed_core import TimedCore
from router.observe.event import LendChanged, LoansChanged
from router.policy.fleet import Site, SiteKind
from router.policy.lending import Lending
from router.policy.loan import (
    NOTHING,
    Away,
    Loan,
    LoanError,
    SiteLoans,
    away_at,
    chosen,
    current,
    lend,
    reclaim,
)
from router.policy.loan_worth import OverflowCost, to_take_back

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a cluster is with what a site lends and takes back, as it was last seen."""

    lent: int = 0  # that it was seen to
    stopping: int = 0  # replicas that are to stop and have not gone
    returning: int = 0  # replicas that are to run and do not yet
    trouble: str = ""  # why it gets no further, in a sentence


Happened = Callable[[str, str, Mapping[str, Any], Mapping[str, Any]], None]
"""An action, its target, and how it stood before and stands after."""


class Lender:
    """Looks at the sites that lend. Called once a second, and at an operator's word."""

    def __init__(
        self,
        core: TimedCore,
        roster: Roster,
        sites: Iterable[Site],
        unix_ns: Callable[[], int] = time.time_ns,
        happened: Happened | None = None,
        crew: ScalingCrew | None = None,
    ) -> None:
        """`happened` hears what has changed without an operator's asking for it here.

        `crew` are the workers where there are several: the first weighs what all of them spend.
        """
        self._crew = crew
        self._happened = happened
        self._core = core
        self._roster = roster
        self._sites = {site.name: site for site in sites}
        self._unix_ns = unix_ns
        self._loans: dict[str, SiteLoans] = {}
        self._lent: dict[str, tuple[str, ...]] = {}  # what the core was told, by site
        self._has: dict[str, int] = {}  # where a cluster says it
        self._progress: dict[str, Progress] = {}
        self._wakes: dict[str, asyncio.Event] = {}
        self._costs: defaultdict[str, OverflowCost] = defaultdict(OverflowCost)

    def adopt(self, sites: Iterable[Site]) -> None:
        """The fleet has these sites; what operators said of one that it has no longer is over."""
        self._sites = {site.name: site for site in sites}
        self._loans = {name: one for name, one in self._loans.items() if name in self._sites}
        self._lent = {name: one for name, one in self._lent.items() if name in self._sites}
        of_sites: tuple[dict[str, Any], ...] = (self._has, self._progress, self._wakes, self._costs)
        for known in of_sites:
            for name in known.keys() - self._sites.keys():
                del known[name]

    def look(self) -> None:
        """Tells the core what has changed, by the time or in the list of endpoints."""
        self._look()

    def _look(self, asked: str = "") -> None:
        """The same. Of the site `asked` an operator has spoken here, which is written down."""
        for name, site in self._sites.items():
            loans = self._loans.get(name, NOTHING)
            if site.lending is None and loans.is_empty and not self._lent.get(name):
                self._costs[name].forget()
                continue
            now = self._unix_ns()
            if current(loans, now) != loans:
                self._set(name, current(loans, now))
            self._weigh(site, now)
            lent = self._chosen(site, now)
            if lent != self._lent.get(name, ()):
                before = self._lent.get(name, ())
                self._lent[name] = lent
                self._core.tell(LendChanged(name, lent))
                if self._happened is not None and name != asked:
                    words = "lend" if len(lent) > len(before) else "reclaim"
                    self._happened(words, name, {"lent": before}, {"lent": lent})

    def lend(self, site: str, replicas: int, until_unix_ns: int, reason: str) -> None:
        """An operator lends replicas of a site, which the fleet has. Raises LoanError."""
        if site not in self._sites:
            raise LoanError("site", f"the fleet file has {site} no longer")
        if self._sites[site].kind is not SiteKind.HOME:
            given_back = "a rented replica that is not needed is given back"
            raise LoanError("site", f"{site} is rented, and only home lends; {given_back}")
        now = self._unix_ns()
        loans = current(self._loans.get(site, NOTHING), now)
        loan = Loan(replicas, self.has(site), now, until_unix_ns, reason)
        self._hear(LoansChanged(site, lend(loans, loan, self._idlest(site))), asked=site)

    def reclaim(self, site: str, replicas: int | None) -> None:
        """An operator takes so many back, or all. Raises LoanError."""
        loans, lending = self._loans.get(site, NOTHING), self._lending(site)
        told = LoansChanged(site, reclaim(lending, loans, replicas, self._unix_ns()))
        self._hear(told, asked=site)

    def hear(self, told: LoansChanged) -> None:
        """An operator has told another process, or a job its cluster. What was said later holds."""
        self._hear(told)

    def _hear(self, told: LoansChanged, asked: str = "") -> None:
        known = self._loans.get(told.site, NOTHING)
        if told.site in self._sites and told.loans.said_unix_ns > known.said_unix_ns:
            self._set(told.site, told.loans, told.why)
            self._look(asked)

    def home(self, name: str) -> Site | None:
        """A home site of the fleet; None where it has no home of this name."""
        site = self._sites.get(name)
        return site if site is not None and site.kind is SiteKind.HOME else None

    def has(self, site: str) -> int:
        """How many replicas a site has when nothing is lent, as far as is known."""
        if site in self._has:
            return max(self._has[site], len(self._names(site)))
        lending, loan = self._lending(site), self._loans.get(site, NOTHING).loan
        named = max(lending.replicas if lending else 0, loan.of if loan else 0)
        return max(named, len(self._names(site)))

    def away(self, site: str) -> Away:
        """What is lent of a site."""
        loans, lending = self._loans.get(site, NOTHING), self._lending(site)
        return away_at(lending, loans, self._unix_ns())

    def loans(self, site: str) -> SiteLoans:
        """What operators have said of a site."""
        return self._loans.get(site, NOTHING)

    def all_loans(self) -> Iterable[LoansChanged]:
        """What operators have said of any site."""
        return [LoansChanged(site, loans) for site, loans in self._loans.items()]

    def lent(self, site: str) -> tuple[str, ...]:
        """The endpoints that are lent, of those that are listed."""
        return self._lent.get(site, ())

    def set_order(self, site: str, first: tuple[str, ...], has: int) -> None:
        """A site has so many replicas, and these would be stopped first by who stops them.

        All processes of the router hear of it where it is another choice than theirs.
        """
        self._has[site] = has
        self.look()
        loans, lent = self._loans.get(site, NOTHING), self._lent.get(site, ())
        if lent and chosen(self._names(site), len(lent), (*first, *lent)) != lent:
            said_ns = max(self._unix_ns(), loans.said_unix_ns + 1)
            self.hear(LoansChanged(site, replace(loans, first=first, said_unix_ns=said_ns)))

    def progress(self, site: str) -> Progress | None:
        """How far the site's cluster is; None where nobody here sees to it."""
        return self._progress.get(site)

    def wakes(self, site: str) -> asyncio.Event:
        """Is set whenever an operator has said something of a site."""
        return self._wakes.setdefault(site, asyncio.Event())

    def set_progress(self, site: str, progress: Progress) -> None:
        """The site's cluster is so far."""
        self._progress[site] = progress

    def _weigh(self, site: Site, unix_ns: int) -> None:
        """Takes back what costs more in overflow than it is worth where it is."""
        cost, worth = self._costs[site.name], site.reclaim.worth_usd_per_hour
        loans = self._loans.get(site.name, NOTHING)
        lent = away_at(site.lending, loans, unix_ns).replicas
        if worth is None or not lent or (self._crew is not None and not self._crew.leads):
            cost.forget()
            return
        spent = self._spent_usd()
        cost.add(spent, unix_ns)
        usd_per_hour = cost.usd_per_hour(spent)
        back = to_take_back(lent, usd_per_hour, worth)
        if not back:
            return
        cost.forget()
        why = f"overflow costs {usd_per_hour:.2f} USD/h, and a lent replica is worth {worth:.2f}"
        _log.warning("%s takes %d of %d lent replicas back: %s", site.name, back, lent, why)
        self._set(site.name, reclaim(site.lending, loans, back, unix_ns), why)

    def _spent_usd(self) -> float:
        """On metered capacity, by all workers; other routers that share are taken to be alike."""
        snapshot = self._core.snapshot()
        rented = {one.name: one for one in snapshot.sites if one.kind is not SiteKind.HOME}
        spent, workers = sum(one.spend_usd for one in rented.values()), 1
        if self._crew is not None:
            of_others, others = self._crew.spent_usd(rented)
            spent, workers = spent + of_others, 1 + others
        sharing = snapshot.shared.routers if snapshot.shared else 1
        return spent * max(1.0, sharing / workers)

    def _set(self, site: str, loans: SiteLoans, why: str = "") -> None:
        if loans == self._loans.get(site, NOTHING):
            return
        self._loans[site] = loans  # also what ends them all: no earlier word may return
        self._core.tell(LoansChanged(site, loans, why))
        self.wakes(site).set()

    def _chosen(self, site: Site, unix_ns: int) -> tuple[str, ...]:
        loans, names = self._loans.get(site.name, NOTHING), self._names(site.name)
        away = away_at(site.lending, loans, unix_ns)
        missing = max(0, self.has(site.name) - len(names))
        first = (*loans.first, *self._lent.get(site.name, ()))
        return chosen(names, away.replicas - missing, first)

    def _lending(self, site: str) -> Lending | None:
        """A site's schedule; None also for one that the fleet has no longer."""
        found = self._sites.get(site)
        return found.lending if found is not None else None

    def _names(self, site: str) -> list[str]:
        return [endpoint.name for endpoint in self._roster if endpoint.site == site]

    def _idlest(self, site: str) -> tuple[str, ...]:
        """A site's endpoints, those with the fewest streams first, and of equals the last by name.

        What is lent already comes before.
        """
        (at,) = (one for one in self._core.snapshot().sites if one.name == site)
        streams = {one.name: one.streams for one in at.endpoints}
        names = sorted(self._names(site), reverse=True)
        lent = self._lent.get(site, ())
        return tuple(sorted(names, key=lambda name: (name not in lent, streams.get(name, 0))))
