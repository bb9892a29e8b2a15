"""What a program with a tracer is told of its answers."""

import asyncio
import threading

import grpc
import pytest

from spillway.client import NotFoundError
from spillway.client.answering import Answering
from spillway.client.connections import Connections
from spillway.client.options import call_of
from spillway.client.sync_answering import SyncAnswering
from tests.spillway.client.fake_channel import FakeChannel


class Span:
    """Remembers how it ended."""

    metadata = ()

    def __init__(self, _call):
        self.ended = []

    def fail(self, code):
        self.ended.append(code)

    def end(self):
        self.ended.append(None)


@pytest.fixture
def spans(monkeypatch):
    """The spans of all answers."""
    found = []

    def begun(call):
        found.append(Span(call))
        return found[-1]

    monkeypatch.setattr("spillway.client.attempts.AnswerSpan", begun)
    return found


def refused():
    raise NotFoundError("there is no such model", grpc.StatusCode.NOT_FOUND)


class Direct:
    async def place(self, _call, _remaining_s):
        refused()


class SyncDirect:
    def place(self, _call, _remaining_s):
        refused()


def asked():
    return Connections(lambda _: FakeChannel(), "a:1", 1), call_of("7", {}, deadline_s=60.0)


async def test_an_answer_that_nobody_places_has_failed(spans):
    """With the status that its program gets; and it ends with it."""
    connections, call = asked()

    async def put(_call):
        pass

    one = Answering(connections, asyncio.Semaphore(1), put, call, 30.0, Direct())
    with pytest.raises(NotFoundError):
        await one.start()
    assert spans[0].ended == [grpc.StatusCode.NOT_FOUND, None]


def test_so_has_one_of_the_synchronous_client(spans):
    """Its stream releases it, which has not begun."""
    connections, call = asked()
    one = SyncAnswering(
        connections, threading.Semaphore(1), lambda _: None, call, 30.0, SyncDirect()
    )
    with pytest.raises(NotFoundError):
        one.start()
    one.release()
    assert spans[0].ended == [grpc.StatusCode.NOT_FOUND, None]
