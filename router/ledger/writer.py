"""Brings what attempts cost into the ledger, in a thread of its own.

No stream waits for the disk: an attempt's cost is put into a queue when it ends, and is committed
with all that is in the queue at most `commit_s` later. What is committed is acknowledged: it is
there once, whatever becomes of the process. What a crash takes is what was not: the last tenths of
a second, and the attempts that were under way.

While the ledger cannot be written (a full disk, a locked file, a database that is away) the service
goes on, the queue grows to its bound, and what is beyond is dropped and counted; its numbers leave
a gap in the ledger for ever. Budgets are kept by what the core counts, and so hold meanwhile.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from router.ledger.database import LedgerError
from router.ledger.entry import EngineCount, Entry, day_of, month_of, spent_of
from router.ledger.ledger import Ledger
from router.observe.event import Event
from router.policy.month_cap import Spent
from router.policy.units import ns, seconds

PENDING_MAX: Final = 100_000
"""Attempts that wait for the disk: minutes of a busy router, some 60 MB."""

CLOSE_S: Final = 5.0
"""What a ledger that cannot be written may hold up the end of a router."""

_BATCH_MAX: Final = 1_000  # of one transaction: some tens of milliseconds
_LOOK_S: Final = 5.0  # between two looks at what others spent, and at what engines count
_RETRY_S: Final = 0.2  # at first, and then twice as long each time
_RETRY_MAX_S: Final = 5.0
_PRUNE_S: Final = 60.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Keeping:
    """For how long what is kept, and how soon it is written."""

    commit_s: float = 0.1
    attempts_kept_s: float = 30 * 86_400.0
    attempts_max: int = 2_000_000  # some 700 MB
    days_kept_s: float = 400 * 86_400.0


class LedgerWriter:
    """A sink of charges. Made and used by the router's thread, but for `_run`."""

    def __init__(self, opened: Callable[[], Ledger], keeping: Keeping) -> None:
        """`opened` gives the ledger, and again when it was lost; it raises LedgerError."""
        self._opened = opened
        self._keeping = keeping
        self._ledger: Ledger | None = None
        self._pending: deque[Entry] = deque()
        self._changed = threading.Condition()
        self._closing_s: float | None = None  # by when, on the monotonic clock
        self._counts: tuple[EngineCount, ...] = ()
        self._own: dict[tuple[int, str, str], float] = {}  # committed, by month, site and tenant
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self.spent = Spent(0)  # by others, or before this process, as of the last look
        self.lost = 0  # attempts that were dropped
        self.lost_usd = 0.0
        self.committed = 0  # attempts
        self.error: LedgerError | None = None  # why the last attempts could not be written

    def start(self) -> None:
        """Opens the ledger, and reads what the month has cost. Raises LedgerError."""
        self._ledger = self._opened()
        self._look_at_spending(self._ledger)
        self._thread.start()

    def close(self) -> None:
        """Writes what is pending, for at most `CLOSE_S`. Does nothing before `start`."""
        if not self._thread.is_alive():
            return
        with self._changed:
            self._closing_s = time.monotonic() + CLOSE_S
            self._changed.notify()
        self._thread.join(CLOSE_S + 1.0)
        if self._pending:
            usd = sum(entry.charge.spent_usd for entry in self._pending)
            _log.error(
                "%d attempts (%.4f USD) are not in the ledger: %s",
                len(self._pending),
                usd,
                self.error or "it did not answer in time",
            )

    def on_event(self, event: Event) -> None:
        """See Sink."""
        if event.charges:
            unix_ns = time.time_ns()
            self.put([Entry(charge, unix_ns) for charge in event.charges])

    def put(self, entries: list[Entry]) -> None:
        """Attempts that are over, in the order of their numbers."""
        with self._changed:
            room = max(0, PENDING_MAX - len(self._pending))
            self._pending.extend(entries[:room])
            for charge, _ in entries[room:]:
                self.lost += 1
                self.lost_usd += charge.spent_usd
            self._changed.notify()

    def observe(self, counts: list[EngineCount]) -> None:
        """What engines had counted at first, and have by now; written down some time."""
        self._counts = tuple(counts)

    @property
    def lag_s(self) -> float:
        """How long the oldest attempt that is not committed has waited, in seconds."""
        with self._changed:
            oldest_ns = self._pending[0].ended_unix_ns if self._pending else None
        return 0.0 if oldest_ns is None else max(0.0, seconds(time.time_ns() - oldest_ns))

    def _run(self) -> None:
        retry_s, look_s = _RETRY_S, time.monotonic() + _LOOK_S
        prune_s = time.monotonic() + _PRUNE_S
        while self._wait(look_s):
            try:
                ledger = self._ledger = self._ledger or self._opened()
                self._write(ledger)
                now_s = time.monotonic()
                if now_s >= look_s:
                    look_s = now_s + _LOOK_S
                    self._look(ledger)
                if now_s >= prune_s:
                    prune_s = now_s + (0.0 if self._prune(ledger) else _PRUNE_S)
                if self.error is not None:
                    _log.warning("the ledger is written again")
                self.error, retry_s = None, _RETRY_S
            except LedgerError as error:
                self._lose(error)
                look_s = time.monotonic() + _LOOK_S
                if self._must_end():
                    break
                self._pause(retry_s)
                retry_s = min(2.0 * retry_s, _RETRY_MAX_S)
        if self._ledger is not None:
            self._ledger.close()

    def _wait(self, look_s: float) -> bool:
        """Until a batch is due, or a look; False once all is written and the end has come."""
        with self._changed:
            while not self._pending and self._closing_s is None:
                left_s = look_s - time.monotonic()
                if left_s <= 0.0:
                    return True
                self._changed.wait(left_s)
            if self._closing_s is None and len(self._pending) < _BATCH_MAX:
                age_s = seconds(time.time_ns() - self._pending[0].ended_unix_ns)
                wait_s = self._keeping.commit_s - max(0.0, age_s)
                if wait_s > 0.0:
                    self._changed.wait_for(self._is_full_or_closing, wait_s)
            return bool(self._pending) or self._closing_s is None

    def _is_full_or_closing(self) -> bool:
        return self._closing_s is not None or len(self._pending) >= _BATCH_MAX

    def _write(self, ledger: Ledger) -> None:
        with self._changed:
            batch = [entry for entry, _ in zip(self._pending, range(_BATCH_MAX), strict=False)]
        if not batch:
            return
        ledger.write(batch, time.time_ns())
        for key, usd in spent_of(batch).items():
            self._own[key] = self._own.get(key, 0.0) + usd
        with self._changed:
            for _ in batch:
                self._pending.popleft()
        self.committed += len(batch)

    def _look(self, ledger: Ledger) -> None:
        self._look_at_spending(ledger)
        if self._counts:
            ledger.count(self._counts, time.time_ns())

    def _look_at_spending(self, ledger: Ledger) -> None:
        month = month_of(time.time_ns())
        self._own = {key: usd for key, usd in self._own.items() if key[0] == month}
        spent = ledger.spent(month)
        sites, tenants = dict(spent.sites), dict(spent.tenants)
        for (_, site, tenant), usd in self._own.items():
            sites[site] = max(0.0, sites.get(site, 0.0) - usd)
            tenants[tenant] = max(0.0, tenants.get(tenant, 0.0) - usd)
        self.spent = Spent(month, tuple(sorted(sites.items())), tuple(sorted(tenants.items())))

    def _prune(self, ledger: Ledger) -> bool:
        now_ns = time.time_ns()
        before_ns = now_ns - ns(self._keeping.attempts_kept_s)
        days_before = day_of(now_ns - ns(self._keeping.days_kept_s))
        return ledger.prune(before_ns, days_before, self._keeping.attempts_max, now_ns)

    def _lose(self, error: LedgerError) -> None:
        if self.error is None:
            _log.error("%s; attempts wait until it can be written", error)
        self.error = error
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = None

    def _must_end(self) -> bool:
        return self._closing_s is not None and time.monotonic() >= self._closing_s

    def _pause(self, retry_s: float) -> None:
        with self._changed:
            if self._closing_s is None:
                self._changed.wait_for(lambda: self._closing_s is not None, retry_s)
                return
            left_s = self._closing_s - time.monotonic()
        time.sleep(max(0.0, min(left_s, _RETRY_S)))
