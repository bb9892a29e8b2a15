"""What an endpoint's status says of an attempt, and what the core is told at its end."""

import dataclasses

import grpc
import pytest

from router.live.attempt import failure_of
from router.live.settings import DecisionLog
from router.live.timed_core import now_ns
from router.observe.decision_log import read_log
from router.observe.event import OutcomeSeen
from router.policy.fleet import Fleet, SloClass
from router.policy.outcome import End, Ended
from router.policy.units import NS_PER_MS, NS_PER_S
from tests.router.live.conftest import HOME, SETTINGS, ask, route
from tests.router.live.scripted import message, scripted
from tests.waiting import until

FULL = grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("details", "end"),
    [
        ("1024 requests are in flight", End.OVERLOADED),
        ("SERVER: Received message larger than max (9 vs. 8)", End.REJECTED),
        ("CLIENT: Received message larger than max (9 vs. 8)", End.REJECTED),
    ],
)
def test_a_message_that_is_too_large_is_the_senders_fault_and_not_overload(details, end):
    """As overload, it would be tried at every endpoint and each be left alone for it."""
    error = grpc.aio.AioRpcError(FULL, grpc.aio.Metadata(), grpc.aio.Metadata(), details)
    assert failure_of(error).end is end


def read_of(routed):
    """How many messages a router has passed on of its only stream, whose next one it waits for."""
    (turn,) = routed.router._inference.turns
    return turn.attempt.messages


async def test_gaps_above_the_objective_are_counted_for_the_core(tmp_path, monkeypatch):
    """As in the simulator, of the tokens after the first."""
    clock_ns = now_ns()
    monkeypatch.setattr("router.live.passed_on.now_ns", lambda: clock_ns)

    async def stutters(_raw, context):
        nonlocal clock_ns
        for number, text in enumerate(("a", "b", "c", "d"), 1):
            await context.write(message(text, finish_tokens=4 * (text == "d")))
            await until(lambda number=number: read_of(routed) == number)
            clock_ns += (150 if text == "b" else 50) * NS_PER_MS

    path = tmp_path / "decisions.jsonl"
    settings = dataclasses.replace(SETTINGS, decision_log=DecisionLog(path))
    chat = SloClass("chat", ttft_ns=10 * NS_PER_S, itl_ns=100 * NS_PER_MS)
    fleet = Fleet((HOME,), (chat,), "chat")
    async with (
        scripted(stutters) as server,
        route({"home": [server.address]}, settings, fleet) as routed,
    ):
        await routed.stream(ask())
        await routed.router.drain()
    ends = [e.happening.outcome for e in read_log(path) if isinstance(e.happening, OutcomeSeen)]
    assert [end.slow_gaps for end in ends if isinstance(end, Ended)] == [1]
