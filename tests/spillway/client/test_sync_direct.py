"""What the synchronous client tells its router of leases."""

import gc
import threading

import pytest

from spillway.client import SyncClient
from spillway.client.telling import CLAIMS_MAX
from tests.spillway.fake_router import FakeRouter, serving
from wire.spillway.v1.fleet_pb2 import LeaseClaim

CLAIM = LeaseClaim(lease="signed", end=LeaseClaim.COMPLETE, messages=3)


def test_a_client_that_closes_has_told_the_router_all(router):
    """Its connections stand until the claims have arrived."""
    client = SyncClient(router.address, direct=True)
    for _ in range(3):
        client._direct.tell(CLAIM)
    client.close()
    assert router.claims == [CLAIM] * 3


class DeafRouter(FakeRouter):
    """A router that takes reports and answers none until it may."""

    def __init__(self):
        super().__init__()
        self.asked = threading.Event()
        self.may_answer = threading.Event()

    def Report(self, request, context):
        self.asked.set()
        self.may_answer.wait()
        return super().Report(request, context)


@pytest.fixture
def deaf():
    found = DeafRouter()
    with serving(found):
        yield found
        found.may_answer.set()


def test_a_router_that_does_not_answer_keeps_no_client_from_closing(deaf, monkeypatch):
    """What it has not been told in time it hears from the endpoints."""
    monkeypatch.setattr("spillway.client.sync_telling.REPORT_S", 0.05)
    client = SyncClient(deaf.address, direct=True)
    client._direct.tell(CLAIM)
    client.close()
    assert deaf.claims == []


def test_claims_that_wait_are_bounded(deaf, monkeypatch):
    """A router that answers nothing is told no more than so many, when it answers again."""
    monkeypatch.setattr("spillway.client.sync_telling.REPORT_S", 60.0)  # none ends by itself
    client = SyncClient(deaf.address, direct=True)
    client._direct.tell(CLAIM)
    assert deaf.asked.wait(30)
    for _ in range(CLAIMS_MAX + 9):
        client._direct.tell(CLAIM)
    deaf.may_answer.set()
    client.close()
    assert deaf.claims == [CLAIM] * (1 + CLAIMS_MAX)


def test_a_client_that_nobody_closes_leaves_no_thread(router):
    """It is collected with all that it has, once it is held no longer."""
    client = SyncClient(router.address, direct=True)
    client._direct.tell(CLAIM)
    thread = client._direct._telling._thread
    del client
    gc.collect()
    thread.join(30)
    assert not thread.is_alive()
    assert router.claims == [CLAIM]
