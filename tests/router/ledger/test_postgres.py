"""What only a ledger that several routers share has to stand."""

import logging
import time

import pytest

from router.ledger.database import LedgerError
from router.ledger.entry import Entry
from router.ledger.ledger import Ledger
from router.ledger.postgres import PostgresDatabase
from router.ledger.report import Question, report
from router.ledger.writer import Keeping, LedgerWriter
from tests.postgres_server import PostgresServer
from tests.router.ledger.charging import charge
from tests.waiting import wait_until


@pytest.fixture
def server():
    """One that may be killed."""
    made = PostgresServer()
    try:
        made.start()
        yield made
    finally:
        made.close()


def asked(server, question=None):
    database = PostgresDatabase(server.url, read_only=True)
    try:
        return report(database, question or Question())
    finally:
        database.close()


def test_a_server_that_crashes_and_comes_back_loses_nothing(server, caplog):
    """What ended meanwhile waits; what was acknowledged is there; nothing is there twice."""
    caplog.set_level(logging.ERROR)
    writer = LedgerWriter(
        lambda: Ledger(PostgresDatabase(server.url), "router-1"), Keeping(commit_s=0.01)
    )
    writer.start()
    numbers = iter(range(1, 1_000))

    def put(count):
        writer.put([Entry(charge(next(numbers)), time.time_ns()) for _ in range(count)])

    put(50)
    wait_until(lambda: writer.committed >= 50)
    server.kill()
    put(50)
    wait_until(lambda: writer.error is not None)
    server.start()
    put(50)
    wait_until(lambda: writer.committed == 150)
    writer.close()
    assert asked(server).total.attempts == 150


def test_each_router_hears_what_the_others_have_spent(server, monkeypatch):
    """Soon, and not what it has spent itself."""
    monkeypatch.setattr("router.ledger.writer._LOOK_S", 0.05)
    writers = [
        LedgerWriter(
            lambda name=name: Ledger(PostgresDatabase(server.url), name), Keeping(commit_s=0.01)
        )
        for name in ("router-1", "router-2")
    ]
    for writer in writers:
        writer.start()
    writers[0].put([Entry(charge(1, metered_usd=4.0, egress_usd=0.0), time.time_ns())])
    wait_until(lambda: dict(writers[1].spent.tenants) == {"acme": 4.0})
    wait_until(lambda: writers[0].committed == 1)
    assert dict(writers[0].spent.tenants).get("acme", 0.0) == 0.0
    for writer in writers:
        writer.close()


def test_a_server_that_is_not_there_is_told_without_the_password(tmp_path):
    """In one line."""
    secret = tmp_path / "password"
    secret.write_text("hunter2\n")
    with pytest.raises(LedgerError) as failed:
        PostgresDatabase(f"postgresql://ledger@/postgres?host={tmp_path}", secret)
    assert "the ledger in PostgreSQL: connection" in str(failed.value)
    assert "hunter2" not in str(failed.value)
    assert "\n" not in str(failed.value)
