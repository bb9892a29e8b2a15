"""Has a site's cluster do what is lent: Serve runs fewer replicas, and jobs end when they are back.

One process of a router does it, for each site with a dashboard. What operators say is written down
at the cluster (router.live.ray_cluster) before Serve is told anything, and whoever reads a later
word there follows it: so a router that is started anew knows its loans, and several routers agree.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

import aiohttp
from pydantic import TypeAdapter, ValidationError

from router.live import background
from router.live.dashboard_http import DiscoveryError
from router.live.lender import Lender, Progress
from router.live.loan_desk import LoanDesk
from router.live.ray_cluster import LoanRecord, RayCluster
from router.live.settings import RouterSettings, SiteAccess
from router.live.timed_core import now_ns
from router.observe.event import LoansChanged
from router.policy.loan import SiteLoans
from router.policy.loan_step import EndJob, Scale, ServeSight, goes_first, next_step, overdue
from router.policy.units import NS_PER_S

_LOOK_S: Final = 1.0
_IDLE_LOOKS: Final = 10
"""A site that lends nothing is asked only each so many looks whether another router lends it."""

_READ_BY_ALL_NS: Final = 60 * NS_PER_S
"""Several of the looks that any router takes."""

_SETTLED_NS: Final = 10 * NS_PER_S
"""After a job's end. Ray looks after a job once a second, and makes one that it finds deleted while
its process ends anew, as one that failed."""

_JOB: Final = "spillway-loan-"
"""What the job of a record is called, before the time at which it was said."""

_TERMS: Final = TypeAdapter(SiteLoans)

_log = logging.getLogger(__name__)


async def keep_loans(
    ways: Callable[[], Iterable[SiteAccess]],
    lender: Lender,
    loans: LoanDesk,
    http: aiohttp.ClientSession,
    settings: RouterSettings,
) -> None:
    """Sees to the loans of each home site whose cluster can be told, until cancelled.

    `ways` says how sites are reached, which may change.
    """
    running: dict[SiteAccess, asyncio.Task[None]] = {}
    try:
        while True:
            told = {one for one in ways() if one.dashboard_url and lender.home(one.site)}
            for way in running.keys() - told:
                await background.end(running.pop(way))
            for way in told - running.keys():
                cluster = RayCluster(http, way, settings.discovery_timeout_s)
                by_hand = len(way.endpoints)
                keeper = LoanKeeper(way.site, lender, cluster, by_hand, loans.streams, now_ns)
                running[way] = background.begin(keeper.run(), f"loans of {way.site}")
            await asyncio.sleep(_LOOK_S)
    finally:
        for task in running.values():
            await background.end(task)


class LoanKeeper:
    """Sees to one site's loans, until cancelled."""

    def __init__(
        self,
        site: str,
        lender: Lender,
        cluster: RayCluster,
        by_hand: int,
        streams: Callable[[str], int],
        now_ns: Callable[[], int],
        unix_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """`by_hand` endpoints are the site's besides; `streams` run on what a site lends."""
        self._site = site
        self._lender = lender
        self._cluster = cluster
        self._by_hand = by_hand
        self._streams = streams
        self._now_ns = now_ns
        self._unix_ns = unix_ns
        self._looks = 0
        self._written_ns = 0  # the latest word that is written down
        self._told_ns: dict[str, int] = {}  # jobs that were told to end
        self._taken_back_ns: int | None = None
        self._over_ns: dict[str, int] = {}  # since when jobs of records are seen to have ended
        self._has_lent = False
        self._trouble = ""
        self._overdue = ""  # why replicas do not come back, though all was done
        self._unread: set[str] = set()  # jobs whose terms are of another version
        lender.set_progress(site, Progress())

    async def run(self) -> None:
        """Looks again and again."""
        while True:
            try:
                await self.look()
                trouble = self._overdue
            except DiscoveryError as error:
                trouble = str(error)
            except Exception as error:  # noqa: BLE001 - whatever it is, somebody has to look again
                # A defect; what is lent would never come back if nobody looked again.
                trouble = f"this router failed: {error!r}"
                if trouble != self._trouble:
                    _log.exception("lending of %s", self._site)
            name = self._site
            before = self._lender.progress(name) or Progress()
            if not (self._lender.away(name).replicas or before.returning):
                trouble = ""  # nothing is lent that it could be in the way of
            if trouble and trouble != self._trouble:
                _log.warning("lending of %s: %s", name, trouble)
            self._trouble = trouble
            self._lender.set_progress(name, replace(before, trouble=trouble))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._lender.wakes(name).wait()
            self._lender.wakes(name).clear()

    async def look(self) -> None:
        """Does the next thing that is to be done, if any. Raises DiscoveryError."""
        self._looks += 1
        home = self._lender.home(self._site)
        if home is None:
            return  # the fleet file has it no longer
        name = self._site
        loans, away = self._lender.loans(name), self._lender.away(name)
        is_quiet = not away.replicas and self._taken_back_ns is None
        unwritten = loans.said_unix_ns > self._written_ns
        if is_quiet and not unwritten and self._looks % _IDLE_LOOKS != 1:
            return
        sight = await self._cluster.sight()
        jobs = await self._cluster.jobs()
        await self._agree(jobs.records)
        away = self._lender.away(name)
        self._lender.set_order(name, goes_first(sight), sight.configured + self._by_hand)
        self._follow(sight, away.replicas)
        now, running = self._now_ns(), {one.job for one in jobs.borrowers}
        self._told_ns = {job: at for job, at in self._told_ns.items() if job in running}
        since = (self._told_ns, self._taken_back_ns, home.reclaim.grace_ns, now)
        step = next_step(sight, away.replicas, self._streams(name), jobs.borrowers, *since)
        self._overdue = overdue(sight, away.replicas, jobs.borrowers, *since)
        if isinstance(step, Scale):
            _log.info("%s lends %d: Serve is to run %d", name, away.replicas, step.replicas)
            await self._cluster.scale(step.replicas)
        elif isinstance(step, EndJob):
            _log.info("%s takes its replicas back: the job %s is told to end", name, step.job)
            await self._cluster.end(step.job)
            self._told_ns[step.job] = now  # what was not heard is said again

    def _follow(self, sight: ServeSight, lent: int) -> None:
        """Notes whether replicas are on their way out, or back, and since when they find no place.

        Whatever took it from them: whoever borrows it has to give it back.
        """
        kept = max(0, sight.configured - lent)
        if sight.placed >= kept:
            self._taken_back_ns = None
        elif self._taken_back_ns is None:
            self._taken_back_ns = self._now_ns()
        returning = max(0, kept - sum(one.runs for one in sight.replicas))
        self._has_lent = lent > 0 or (self._has_lent and returning > 0)
        progress = Progress(lent, max(0, sight.listed - kept), returning if self._has_lent else 0)
        self._lender.set_progress(self._site, progress)

    async def _agree(self, records: tuple[LoanRecord, ...]) -> None:
        """Hears what was said to another router, and writes down what was said to this one."""
        name, known = self._site, {one: _read(one) for one in records}
        latest = max((loans for loans in known.values() if loans), key=_said, default=None)
        if latest is not None:
            self._written_ns = max(self._written_ns, latest.said_unix_ns)
            self._lender.hear(LoansChanged(name, latest))
        self._leave_unread(known)
        loans = self._lender.loans(name)
        holds = [one for one in known.values() if one and not one.is_empty]
        if loans.said_unix_ns > self._written_ns:
            if holds or not loans.is_empty:
                await self._write_down(loans)
            self._written_ns = loans.said_unix_ns
        elif not loans.is_empty and not holds:
            # It was struck out: another router has taken back what this one still lends.
            self._lender.hear(LoansChanged(name, SiteLoans(said_unix_ns=loans.said_unix_ns + 1)))
            self._written_ns = loans.said_unix_ns + 1
        now = self._now_ns()
        self._over_ns = {one.job: self._over_ns.get(one.job, now) for one in records if one.over}
        for record, said in known.items():
            over_ns = self._over_ns.get(record.job, now)
            if now - over_ns >= _SETTLED_NS and self._is_outdated(said):
                await self._cluster.strike_out(record.job)

    def _leave_unread(self, known: Mapping[LoanRecord, SiteLoans | None]) -> None:
        """What cannot be read is another version's: a later word of it is not acted against.

        Raises DiscoveryError where there is one.
        """
        unread = {record.job for record, said in known.items() if said is None}
        for job in unread - self._unread:
            _log.warning("lending of %s: the terms of the job %s cannot be read", self._site, job)
        self._unread = unread
        said_ns = max(self._lender.loans(self._site).said_unix_ns, self._written_ns)
        later = [job for job in unread if _said_at(job) > said_ns]
        if later:
            raise DiscoveryError(
                f"another version wrote down in the job {max(later, key=_said_at)} what is lent,"
                " which this one cannot read, and so does nothing: run the version that can, or"
                " lend or take back anew here, or delete that job (`ray job delete`)"
            )

    def _is_outdated(self, said: SiteLoans | None) -> bool:
        """Whether something written down may go; what ends a loan stays until all have read it.

        What cannot be read is left to who can.
        """
        if said is None:
            return False
        if said.said_unix_ns < self._written_ns:
            return True
        age_ns = self._unix_ns() - said.said_unix_ns
        return self._lender.loans(self._site).is_empty and age_ns > _READ_BY_ALL_NS

    async def _write_down(self, loans: SiteLoans) -> None:
        loan = loans.loan
        shown = {"job_name": f"lent by {self._site}"} if loan else {}
        if loan is not None and loan.reason:
            shown["reason"] = loan.reason
        job = f"{_JOB}{loans.said_unix_ns}"
        await self._cluster.write_down(job, _TERMS.dump_json(loans).decode(), shown)


def _said(loans: SiteLoans) -> int:
    return loans.said_unix_ns


def _said_at(job: str) -> int:
    """When the record of this job was said, as its name has it; 0 where that says nothing."""
    digits = job.removeprefix(_JOB)
    return int(digits) if digits != job and digits.isdecimal() and len(digits) <= 20 else 0


def _read(record: LoanRecord) -> SiteLoans | None:
    """What is written down; None where it is not as this version writes it."""
    try:
        return _TERMS.validate_json(record.terms)
    except ValidationError:
        return None
