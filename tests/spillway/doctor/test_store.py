"""The store that routers share, asked as they would."""

import pytest

from spillway.doctor.finding import Level
from spillway.doctor.store import store
from spillway.fleet import read
from spillway.local.store_server import StoreServer

FLEET = (
    "sites:\n  a: {kind: home, endpoints: ['127.0.0.1:1']}\n"
    "  b: {kind: rented, endpoints: ['127.0.0.1:2'],"
    " price: {metered: 1 USD/h, budget_hourly: 5 USD/h}}\n"
    "slo_classes: {chat: {ttft: 1s, itl: 1s}}\n"
)


@pytest.fixture
def server(tmp_path):
    """A real one."""
    found = StoreServer(tmp_path)
    found.start()
    yield found
    found.kill()


def test_a_store_that_answers_is_well_and_one_that_is_gone_is_a_problem(server):
    """With what happens meanwhile."""
    file = read(f"{FLEET}router: {{store: {{url: '{server.url}'}}}}\n")
    (found,) = store(file)
    assert found.level is Level.OK
    assert "answers in" in found.what
    server.kill()
    (found,) = store(file)
    assert found.level is Level.PROBLEM
    assert "spend what they hold" in found.do


def test_a_password_that_cannot_be_read_is_a_problem(server, tmp_path):
    """The server is there, and nobody could ask it."""
    path = tmp_path / "password"
    file = read(f"{FLEET}router: {{store: {{url: '{server.url}', password_file: {path}}}}}\n")
    (found,) = store(file)
    assert found.level is Level.PROBLEM
    assert "No such file" in found.what


def test_a_fleet_that_shares_nothing_needs_none():
    """That is well."""
    (found,) = store(read(FLEET))
    assert found.level is Level.OK
