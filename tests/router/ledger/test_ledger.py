"""The ledger: each attempt once, its sums by day, and what the sites count."""

import dataclasses
import stat
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.ledger.database import LedgerError
from router.ledger.entry import COUNT_MAX, EngineCount, days_of
from router.ledger.ledger import Ledger
from router.ledger.postgres import PostgresDatabase
from router.ledger.report import Question, reconcile, report
from router.ledger.schema import VERSION
from router.ledger.sqlite import SqliteDatabase
from router.policy.month_cap import Spent
from tests.postgres_server import PostgresServer
from tests.router.ledger.charging import DAY_NS, NOON_NS, entries


@pytest.fixture
def path(tmp_path):
    """Where a ledger of SQLite's is."""
    return tmp_path / "folder" / "ledger.sqlite"


@pytest.fixture(scope="session")
def postgres():
    """A server for all tests of this file."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(params=["sqlite", "postgres"])
def place(request, path):
    """Opens an empty ledger's database, whichever it is, as often as it is asked to."""
    if request.param == "sqlite":
        return lambda **how: SqliteDatabase(path, **how)
    server = request.getfixturevalue("postgres")
    database = PostgresDatabase(server.url)
    database.execute("DROP SCHEMA public CASCADE")
    database.execute("CREATE SCHEMA public")
    database.close()
    return lambda **how: PostgresDatabase(server.url, **how)


@pytest.fixture
def ledger(place):
    """A ledger that one router writes."""
    made = Ledger(place(), "router-1")
    yield made
    made.close()


def asked(place, *by, **question):
    """The report of another process."""
    database = place(read_only=True)
    try:
        return report(database, Question(by, **question))
    finally:
        database.close()


def test_what_is_written_is_reported(ledger, place):
    """By what it is told apart by, and all together."""
    ledger.write(entries(1, 2), NOON_NS)
    ledger.write(entries(3, tenant="bolt", kind="retry"), NOON_NS)
    found = asked(place, "tenant")
    assert [line.key for line in found.lines] == [("acme",), ("bolt",)]
    assert [(line.sums.attempts, line.sums.requests) for line in found.lines] == [(2, 2), (1, 0)]
    assert found.total.output_tokens == 15
    assert found.total.metered_usd == pytest.approx(1.5)
    assert asked(place, "site", "day").lines[0].key == ("rented", "2026-11-29")
    assert asked(place, tenant="bolt").total.attempts == 1


def test_days_bound_a_report(ledger, place):
    """Both the first and the last are in it."""
    for days in range(4):
        ledger.write(entries(days + 1, at_ns=NOON_NS + days * DAY_NS), NOON_NS)
    found = asked(place, "day", since="2026-11-30", until="2026-12-01")
    assert [line.key for line in found.lines] == [("2026-11-30",), ("2026-12-01",)]


def test_an_empty_ledger_has_a_report_without_lines(ledger, place):
    """And sums of nothing."""
    found = asked(place)
    assert (found.lines, found.total.attempts) == ((), 0)


def test_what_comes_again_is_there_once(ledger, place):
    """Nobody knows whether a batch went through whose answer was lost."""
    ledger.write(entries(1, 2, 3), NOON_NS)
    ledger.write(entries(2, 3, 4), NOON_NS)
    ledger.write(entries(1, 2, 3, 4), NOON_NS)
    assert asked(place).total.attempts == 4


def test_routers_do_not_take_each_others_numbers(ledger, place):
    """Each counts from one."""
    other = Ledger(place(), "router-2")
    ledger.write(entries(1, 2), NOON_NS)
    other.write(entries(1), NOON_NS)
    other.close()
    assert asked(place).total.attempts == 3


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
    assert asked(lambda **how: SqliteDatabase(path, **how)).total.attempts == upto


def test_routers_that_write_at_once_lose_nothing_and_count_engines_once(place, monkeypatch):
    """Each its own attempts, as the workers of one router do, and all the same engine's counts."""
    monkeypatch.setattr("router.ledger.sqlite._BUSY_S", 60.0)  # a slow disk is no failure here
    failures = []

    def run(number):
        try:
            ledger = Ledger(place(), f"router-{number}")
            for step in range(10):
                two = entries(2 * step + 1, 2 * step + 2, tenant=f"t{step % 3}")
                ledger.write(two, NOON_NS)
                ledger.count([EngineCount("s", "s/1", "i", 10 * step, 0, 0)], NOON_NS)
            ledger.close()
        except LedgerError as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60.0)
    assert not failures
    assert asked(place).total.attempts == 4 * 20
    database = place(read_only=True)
    told = {one.site: one.told_output_tokens for one in reconcile(database, Question()).sites}
    database.close()
    assert told["s"] == 90


def test_a_gap_in_the_numbers_is_a_loss_that_shows(ledger, place):
    """Also after a restart of whoever wrote."""
    ledger.write(entries(1, 2), NOON_NS)
    ledger.write(entries(6), NOON_NS)
    database = place(read_only=True)
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


def test_engines_counts_add_up_over_restarts(ledger, place):
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
    database = place(read_only=True)
    (site,) = reconcile(database, Question(since="2026-11-29")).sites
    database.close()
    assert (site.told_output_tokens, site.told_prompt_tokens, site.told_cached_tokens) == (
        57,
        430,
        210,
    )
    assert (site.output_tokens, site.prompt_tokens) == (57, 425)


def test_whatever_a_site_calls_and_counts_the_ledger_takes_it(ledger, place):
    """A name that a database has no way to write, and numbers that it has no room for."""
    most = (1 << 64) - 1
    told = [
        EngineCount("rented", "rented/\ud800", "a\0b", count, count, count) for count in (0, most)
    ]
    for _ in range(2):
        ledger.count(told, NOON_NS)
    ledger.count([EngineCount("rented", "rented/1", "i", 0, most, 0)], NOON_NS)
    odd = {"model": "m\0", "endpoint": "rented/\udfff", "output_tokens": most, "egress_bytes": most}
    ledger.write(entries(1, 2, **odd), NOON_NS)
    ledger.write(entries(3, **odd), NOON_NS)
    found = asked(place, "model")
    assert [(line.key, line.sums.attempts) for line in found.lines] == [(("m?",), 3)]
    assert found.total.egress_bytes == 3 * COUNT_MAX
    database = place(read_only=True)
    assert reconcile(database, Question()).sites[0].told_output_tokens == COUNT_MAX
    database.close()


def test_what_it_has_no_room_for_is_the_databases_failure(ledger, place):
    """So that whoever writes to it knows what to do."""
    database = place()
    for value in (1 << 64, "\ud800"):
        with pytest.raises(LedgerError, match="the ledger"):
            database.execute("INSERT INTO ledger VALUES (?)", (value,))
    database.close()


def test_old_attempts_go_and_their_sums_stay(ledger, place):
    """Until the sums' own time comes."""
    ledger.write(entries(1, at_ns=NOON_NS), NOON_NS)
    ledger.write(entries(2, at_ns=NOON_NS + 40 * DAY_NS), NOON_NS + 40 * DAY_NS)
    assert not ledger.prune(NOON_NS + DAY_NS, "2026-01-01", 1_000, NOON_NS + 40 * DAY_NS)
    assert _rows(place, "attempts") == 1
    assert asked(place).total.attempts == 2
    ledger.prune(NOON_NS + DAY_NS, "2026-12-01", 1_000, NOON_NS + 40 * DAY_NS)
    assert asked(place).total.attempts == 1


def test_who_is_there_and_idle_is_not_forgotten_with_what_is_old(ledger, place):
    """A router's numbers go on, and what an engine had counted is not counted again."""
    engine = [EngineCount("rented", "rented/1", "a", count, 0, 0) for count in (0, 10)]
    other = Ledger(place(), "router-2")
    other.write(entries(1), NOON_NS)
    other.count([EngineCount("rented", "rented/2", "b", 0, 0, 0)], NOON_NS)
    other.close()
    ledger.write(entries(1, 2, 3), NOON_NS)
    for days in range(41):
        now_ns = NOON_NS + days * DAY_NS
        ledger.count(engine, now_ns)
        ledger.prune(now_ns - 30 * DAY_NS, "2026-01-01", 1_000, now_ns)
    assert (_rows(place, "routers"), _rows(place, "engines")) == (1, 1)
    ledger.write(entries(4), now_ns)
    database = place(read_only=True)
    found = reconcile(database, Question())
    database.close()
    assert (found.lost_attempts, found.sites[0].told_output_tokens) == (0, 10)


def test_no_more_attempts_are_kept_than_may_be(ledger, place):
    """The latest."""
    ledger.write(entries(*range(1, 11)), NOON_NS)
    ledger.write(entries(*range(11, 16), at_ns=NOON_NS + 1), NOON_NS)
    ledger.prune(0, "2026-01-01", 5, NOON_NS)
    assert _rows(place, "attempts") == 5
    assert asked(place).total.attempts == 15


def test_the_file_is_its_owners_alone(path):
    """With what SQLite makes beside it, and also where it was there before."""
    ledger = Ledger(SqliteDatabase(path), "r")
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


def test_a_later_versions_ledger_is_refused(ledger, place):
    """Written by and read by an older one alike."""
    database = place()
    database.execute("INSERT INTO ledger VALUES (?)", (VERSION + 1,))
    database.close()
    with pytest.raises(LedgerError, match="written by a later Spillway"):
        Ledger(place(), "r")
    with pytest.raises(LedgerError, match="written by a later Spillway"):
        asked(place)


def test_a_failed_write_has_no_effect(ledger, place):
    """The row that cannot be takes its batch with it, and the next goes on."""
    bad = entries(1, 2)
    bad[1] = bad[1]._replace(charge=dataclasses.replace(bad[1].charge, tenant=None))
    with pytest.raises(LedgerError):
        ledger.write(bad, NOON_NS)
    ledger.write(entries(1, 2), NOON_NS)
    assert asked(place).total.attempts == 2


def _rows(place, table):
    database = place(read_only=True)
    try:
        return database.execute(f"SELECT count(*) FROM {table}")[0][0]
    finally:
        database.close()
