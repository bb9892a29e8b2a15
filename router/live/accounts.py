"""What this router's attempts cost: kept in the ledger, and read from it.

A ledger that cannot be opened keeps a router from starting; one that is lost later does not stop it
(`router.ledger.writer`).
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final, Self, TypeVar

from prometheus_client import CollectorRegistry, Gauge

from router.ledger.database import Database
from router.ledger.entry import EngineCount, month_of
from router.ledger.ledger import Ledger
from router.ledger.postgres import PostgresDatabase
from router.ledger.report import Question, Reconciliation, Report, reconcile, report
from router.ledger.sqlite import SqliteDatabase
from router.ledger.writer import Keeping, LedgerWriter
from router.live.budget_watch import BudgetWatch
from router.live.endpoint import LiveEndpoint
from router.live.settings import LedgerSettings
from router.live.timed_core import TimedCore
from router.observe.event import Sink, SpentHeard
from router.policy.month_cap import Spent

T = TypeVar("T")

_WATCH_EACH: Final = 5
"""Looks, of which one is at what operators are to be told."""

_READERS_MAX: Final = 2
"""Reports that are made at a time: they share the disk with the writer."""


class Accounts:
    """The ledger of one router process, where its settings name one."""

    def __init__(self, router: str, settings: LedgerSettings, registry: CollectorRegistry) -> None:
        """`router` is its id; `registry` is where its metrics are shown."""
        self._settings = settings
        self._router = router
        self._reading = asyncio.Semaphore(_READERS_MAX)
        self._told: Spent | None = None
        self._budgets = BudgetWatch()
        self._looks = 0
        self._writer: LedgerWriter | None = None
        if self.is_kept:
            keeping = Keeping(
                settings.commit_s,
                settings.attempts_kept_s,
                settings.attempts_max,
                settings.days_kept_s,
            )
            self._writer = LedgerWriter(lambda: Ledger(self._open(), router), keeping)
            _show(self._writer, registry)

    @property
    def is_kept(self) -> bool:
        """Whether there is a ledger."""
        return self._settings.path is not None or self._settings.url is not None

    @property
    def sink(self) -> Sink | None:
        """Who is to hear what happens."""
        return self._writer

    @property
    def lag_s(self) -> float:
        """How long the oldest attempt that is not in the ledger yet has waited."""
        return 0.0 if self._writer is None else self._writer.lag_s

    async def __aenter__(self) -> Self:
        """Opens the ledger. Raises LedgerError."""
        if self._writer is not None:
            await asyncio.to_thread(self._writer.start)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Writes what is pending; may take seconds."""
        if self._writer is not None:
            await asyncio.to_thread(self._writer.close)

    def look(self, core: TimedCore, endpoints: Iterable[LiveEndpoint]) -> None:
        """Tells the core what was spent, and notes what engines count. Call it once a second."""
        if self._writer is None:
            return
        spent, month = self._writer.spent, month_of(time.time_ns())
        if spent.month != month:  # it has just begun, and nobody has spent anything
            spent = Spent(month)
        if spent != self._told:
            self._told = spent
            core.tell(SpentHeard(spent))
        self._writer.observe([count for one in endpoints for count in _counted(one)])
        self._looks += 1
        if self._looks % _WATCH_EACH == 1:
            self._budgets.look(core.snapshot().budgets)

    async def report(self, question: Question) -> Report:
        """What was spent. Raises LedgerError, and ValueError for what cannot be asked."""
        return await self._read(lambda database: report(database, question))

    async def reconcile(self, question: Question) -> Reconciliation:
        """The ledger beside the sites' own counts. Raises LedgerError."""
        return await self._read(lambda database: reconcile(database, question))

    async def _read(self, asked: Callable[[Database], T]) -> T:
        def read() -> T:
            database = self._open(read_only=True)
            try:
                return asked(database)
            finally:
                database.close()

        async with self._reading:
            return await asyncio.to_thread(read)

    def _open(self, *, read_only: bool = False) -> Database:
        path, url = self._settings.path, self._settings.url
        if url is not None:
            return PostgresDatabase(url, self._settings.password_file, read_only=read_only)
        assert path is not None  # noqa: S101 - who asks has looked at `is_kept`
        return SqliteDatabase(path, read_only=read_only)


def _counted(endpoint: LiveEndpoint) -> list[EngineCount]:
    """What its engine had counted when it was first heard, and what it has now."""
    load = endpoint.follower.load
    return [
        EngineCount(
            endpoint.site,
            endpoint.name,
            said.instance_id,
            said.generated_tokens,
            said.prefix_query_tokens,
            said.prefix_hit_tokens,
        )
        for said in (load.first, load.last)
        if said is not None and said.instance_id
    ]


def _show(writer: LedgerWriter, registry: CollectorRegistry) -> None:
    for name, text, value in (
        ("lag_seconds", "Age of the oldest attempt not in it yet", lambda: writer.lag_s),
        ("failing", "1 while it cannot be written", lambda: float(writer.error is not None)),
        ("lost_attempts", "Attempts that it could not take", lambda: float(writer.lost)),
        ("lost_usd", "What those cost", lambda: writer.lost_usd),
        ("committed_attempts", "Attempts that it has taken", lambda: float(writer.committed)),
    ):
        gauge = Gauge(f"spillway_ledger_{name}", f"The ledger: {text}", registry=registry)
        gauge.set_function(value)
