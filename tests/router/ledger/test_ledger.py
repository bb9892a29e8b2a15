"""The ledger: each attempt once, its sums by day, and what the sites count."""

import dataclasses
import sqlite3
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.ledger.database import LedgerError
from router.ledger.entry import EngineCount, days_of
from router.ledger.ledger import Ledger
from router.ledger.report import Question, reconcile, report
from router.ledger.schema import VERSION
from router.ledger.sqlite import SqliteDatabase
from router.policy.month_cap import Spent
from tests.router.ledger.charging import DAY_NS, NOON_NS, entries


@pytest.fixture
def path(tmp_path):
    """Where the ledger is."""
    return tmp_path / "folder" / "ledger.sqlite"


@pytest.fixture
def ledger(path):
    """A ledger that one router writes."""
    made = Ledger(SqliteDatabase(path), "router-1")
    yield made
    made.close()


def asked(path, *by, **question):
    """The report of another process."""
    database = SqliteDatabase(path, read_only=True)
    try:
        return report(database, Question(by, **question))
    finally:
        database.close()


def test_what_is_written_is_reported(ledger, path):
    """By what it is told apart by, and all together."""
    ledger.write(entries(1, 2), NOON_NS)
    ledger.write(entries(3, tenant="bolt", kind="retry"), NOON_NS)
    found = asked(path, "tenant")
    assert [line.key for line in found.lines] == [("acme",), ("bolt",)]
    assert [(line.sums.attempts, line.sums.requests) for line in found.lines] == [(2, 2), (1, 0)]
    assert found.total.output_tokens == 15
    assert found.total.metered_usd == pytest.approx(1.5)
    assert asked(path, "site", "day").lines[0].key == ("rented", "2026-11-29")
    assert asked(path, tenant="bolt").total.attempts == 1


def test_days_bound_a_report(ledger, path):
    """Both the first and the last are in it."""
    for days in range(4):
        ledger.write(entries(days + 1, at_ns=NOON_NS + days * DAY_NS), NOON_NS)
    found = asked(path, "day", since="2026-11-30", until="2026-12-01")
    assert [line.key for line in found.lines] == [("2026-11-30",), ("2026-12-01",)]


def test_an_empty_ledger_has_a_report_without_lines(ledger, path):
    """And sums of nothing."""
    found = asked(path)
    assert (found.lines, found.total.attempts) == ((), 0)


def test_what_comes_again_is_there_once(ledger, path):
    """Nobody knows whether a batch went through whose answer was lost."""
    ledger.write(entries(1, 2, 3), NOON_NS)
    ledger.write(entries(2, 3, 4), NOON_NS)
    ledger.write(entries(1, 2, 3, 4), NOON_NS)
    assert asked(path).total.attempts == 4


def test_routers_do_not_take_each_others_numbers(ledger, path):
    """Each counts from one."""
    other = Ledger(SqliteDatabase(path), "router-2")
    ledger.write(entries(1, 2), NOON_NS)
    other.write(entries(1), NOON_NS)
    other.close()
    assert asked(path).total.attempts == 3


@given(
    batches=st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), max_size=12),
)
def test_any_overlap_of_batches_adds_up(tmp_path_factory, batches):
    """A batch may begin anywhere among what was written: what is there once is the union."""
    path = tmp_path_factory.mktemp("ledger") / "l.sqlite"
    ledger = Ledger(SqliteDatabase(path), "r")
    upto = 0
    for back, count in batches:
        first = max(1, upto + 1 - back)
        ledger.write(entries(*range(first, first + count)), NOON_NS)
        upto = max(upto, first + count - 1)
    ledger.close()
    assert asked(path).total.attempts == upto


def test_a_gap_in_the_numbers_is_a_loss_that_shows(ledger, path):
    """Also after a restart of whoever wrote."""
    ledger.write(entries(1, 2), NOON_NS)
    ledger.write(entries(6), NOON_NS)
    database = SqliteDatabase(path, read_only=True)
    assert reconcile(database, Question()).lost_attempts == 3
    database.close()


def test_a_months_spending_is_what_was_metered_and_left_the_site(ledger):
    """Committed capacity is paid for anyway; another month is another."""
    ledger.write(entries(1, 2), NOON_NS)
    ledger.write(entries(3, tenant="bolt", site="other"), NOON_NS)
    ledger.write(entries(4, at_ns=NOON_NS + 5 * DAY_NS), NOON_NS)
    assert ledger.spent(202611) == Spent(
        202611, (("other", 0.625), ("rented", 1.25)), (("acme", 1.25), ("bolt", 0.625))
    )
    assert days_of(202612) == ("2026-12-01", "2027-01-01")


def test_engines_counts_add_up_over_restarts(ledger, path):
    """What one had counted before it was heard of is nobody's to account for."""

    def count(instance, output, prompt, cached):
        counted = EngineCount("rented", "rented/1", instance, output, prompt, cached)
        ledger.count([counted], NOON_NS)

    count("a", 100, 1_000, 500)
    count("a", 150, 1_400, 700)
    count("a", 150, 1_400, 700)
    count("b", 0, 0, 0)
    count("b", 7, 30, 10)
    count("a", 140, 1_400, 700)  # an old report, late
    ledger.write(entries(1, output_tokens=57, prompt_tokens=425), NOON_NS)
    database = SqliteDatabase(path, read_only=True)
    (site,) = reconcile(database, Question(since="2026-11-29")).sites
    database.close()
    assert (site.told_output_tokens, site.told_prompt_tokens, site.told_cached_tokens) == (
        57,
        430,
        210,
    )
    assert (site.output_tokens, site.prompt_tokens) == (57, 425)


def test_old_attempts_go_and_their_sums_stay(ledger, path):
    """Until the sums' own time comes."""
    ledger.write(entries(1, at_ns=NOON_NS), NOON_NS)
    ledger.write(entries(2, at_ns=NOON_NS + 40 * DAY_NS), NOON_NS + 40 * DAY_NS)
    assert not ledger.prune(NOON_NS + DAY_NS, "2026-01-01", 1_000)
    assert _rows(path, "attempts") == 1
    assert asked(path).total.attempts == 2
    ledger.prune(NOON_NS + DAY_NS, "2026-12-01", 1_000)
    assert asked(path).total.attempts == 1


def test_no_more_attempts_are_kept_than_may_be(ledger, path):
    """The latest."""
    ledger.write(entries(*range(1, 11)), NOON_NS)
    ledger.write(entries(*range(11, 16), at_ns=NOON_NS + 1), NOON_NS)
    ledger.prune(0, "2026-01-01", 5)
    assert _rows(path, "attempts") == 5
    assert asked(path).total.attempts == 15


def test_the_file_is_its_owners_alone(ledger, path):
    """With what SQLite makes beside it, and also where it was there before."""
    ledger.write(entries(1), NOON_NS)
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()}
    assert len(modes) == 3
    assert set(modes.values()) == {0o600}
    ledger.close()
    path.chmod(0o644)
    SqliteDatabase(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_is_no_ledger_is_refused(path):
    """In one line that names the file."""
    path.parent.mkdir()
    path.write_text("accounts of 1913 " * 100)
    with pytest.raises(LedgerError, match=r"the ledger .*ledger\.sqlite: file is not a database"):
        Ledger(SqliteDatabase(path), "r")


def test_a_later_versions_ledger_is_refused(ledger, path):
    """Written by and read by an older one alike."""
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO ledger VALUES (?)", (VERSION + 1,))
    connection.close()
    with pytest.raises(LedgerError, match="written by a later Spillway"):
        Ledger(SqliteDatabase(path), "r")
    with pytest.raises(LedgerError, match="written by a later Spillway"):
        asked(path)


def test_a_failed_write_has_no_effect(ledger, path):
    """The row that cannot be takes its batch with it, and the next goes on."""
    bad = entries(1, 2)
    bad[1] = bad[1]._replace(charge=dataclasses.replace(bad[1].charge, tenant=None))
    with pytest.raises(LedgerError):
        ledger.write(bad, NOON_NS)
    ledger.write(entries(1, 2), NOON_NS)
    assert asked(path).total.attempts == 2


def _rows(path, table):
    connection = sqlite3.connect(path)
    try:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    finally:
        connection.close()
