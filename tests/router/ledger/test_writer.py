"""The ledger's thread: nothing waits for the disk, and what it cannot write is told."""

import time

import pytest

from router.ledger import writer as writer_module
from router.ledger.database import LedgerError
from router.ledger.entry import Entry, month_of
from router.ledger.ledger import Ledger
from router.ledger.report import Question, report
from router.ledger.sqlite import SqliteDatabase
from router.ledger.writer import Keeping, LedgerWriter
from tests.router.ledger.charging import charge
from tests.waiting import wait_until


@pytest.fixture
def path(tmp_path):
    """Where the ledger is."""
    return tmp_path / "ledger.sqlite"


class Disk:
    """Opens a ledger, unless it is full."""

    def __init__(self, path):
        self.path = path
        self.is_full = False
        self.opened = 0

    def open(self):
        if self.is_full:
            raise LedgerError("the disk is full")
        self.opened += 1
        ledger = Ledger(SqliteDatabase(self.path), "router-1")
        write = ledger.write

        def writes(entries, now_unix_ns):
            if self.is_full:
                raise LedgerError("the disk is full")
            write(entries, now_unix_ns)

        ledger.write = writes
        return ledger


def put(writer, *numbers, **fields):
    writer.put([Entry(charge(number, **fields), time.time_ns()) for number in numbers])


def attempts(path):
    database = SqliteDatabase(path, read_only=True)
    try:
        return report(database, Question()).total.attempts
    finally:
        database.close()


def test_attempts_are_in_the_ledger_soon_and_at_the_latest_at_the_end(path):
    """Together with others that ended within the interval."""
    writer = LedgerWriter(Disk(path).open, Keeping(commit_s=0.01))
    writer.start()
    put(writer, 1, 2)
    wait_until(lambda: writer.committed == 2)
    assert (attempts(path), writer.lag_s) == (2, 0.0)
    put(writer, *range(3, 3_000))
    writer.close()
    assert attempts(path) == 2_999


def test_while_the_disk_is_full_attempts_wait_and_then_are_written(path, caplog):
    """It is said once, and how late the ledger is can be seen."""
    disk = Disk(path)
    writer = LedgerWriter(disk.open, Keeping(commit_s=0.01))
    writer.start()
    disk.is_full = True
    put(writer, 1)
    wait_until(lambda: writer.error is not None)
    put(writer, 2)
    assert writer.lag_s > 0.0
    disk.is_full = False
    wait_until(lambda: writer.committed == 2)
    wait_until(lambda: writer.error is None)
    writer.close()
    assert (attempts(path), disk.opened) == (2, 2)
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        "the disk is full; attempts wait until it can be written",
        "the ledger is written again",
    ]


def test_beyond_its_bound_attempts_are_dropped_and_counted(path, monkeypatch):
    """The gap stays in the ledger."""
    monkeypatch.setattr(writer_module, "PENDING_MAX", 3)
    disk = Disk(path)
    writer = LedgerWriter(disk.open, Keeping(commit_s=0.01))
    writer.start()
    disk.is_full = True
    put(writer, *range(1, 6), metered_usd=1.0, egress_usd=0.0)
    assert (writer.lost, writer.lost_usd) == (2, 2.0)
    disk.is_full = False
    wait_until(lambda: writer.committed == 3)
    put(writer, 6)
    writer.close()
    assert attempts(path) == 4


def test_what_is_pending_when_a_full_disk_meets_the_end_is_told(path, caplog, monkeypatch):
    """With what it cost."""
    monkeypatch.setattr(writer_module, "CLOSE_S", 0.2)
    disk = Disk(path)
    writer = LedgerWriter(disk.open, Keeping(commit_s=0.01))
    writer.start()
    disk.is_full = True
    put(writer, 1, 2)
    writer.close()
    assert caplog.records[-1].getMessage() == (
        "2 attempts (1.2500 USD) are not in the ledger: the disk is full"
    )


def test_a_ledger_that_cannot_be_opened_keeps_the_router_from_starting(path):
    """Budgets that nobody keeps are none."""
    disk = Disk(path)
    disk.is_full = True
    with pytest.raises(LedgerError):
        LedgerWriter(disk.open, Keeping()).start()


def test_a_restart_finds_what_the_month_has_cost(path):
    """By others and by this router's earlier process; what it spends itself is not among it."""
    first = LedgerWriter(Disk(path).open, Keeping(commit_s=0.01))
    first.start()
    put(first, 1, 2)
    first.close()
    writer_module_spent = first.spent
    assert dict(writer_module_spent.sites) == {}
    second = LedgerWriter(lambda: Ledger(SqliteDatabase(path), "router-2"), Keeping(commit_s=0.01))
    second.start()
    assert second.spent.month == month_of(time.time_ns())
    assert dict(second.spent.tenants) == {"acme": 1.25}
    put(second, 1)
    wait_until(lambda: second.committed == 1)
    second._look_at_spending(Ledger(SqliteDatabase(path), "router-2"))
    assert dict(second.spent.sites) == {"rented": pytest.approx(1.25)}
    second.close()
