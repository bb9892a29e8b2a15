"""A request that is made for the model that answers, before it is sent there."""

import asyncio
from contextlib import contextmanager
from types import SimpleNamespace

import pytest

from router.live import attempt as attempts
from router.live.attempt import CUT, Attempt
from router.live.model_said import remade
from router.observe.event import OutcomeSeen
from router.policy.decision import Send
from router.policy.rule import Rule
from router.policy.units import NS_PER_S


class _Core:
    """Hears what attempts tell."""

    def __init__(self):
        self.heard = []

    def itl_objective_ns(self, _slo):
        return NS_PER_S

    def tell(self, happening):
        self.heard.append(happening)


class _Face:
    """Makes prompts anew, which takes until the gate is open."""

    def __init__(self):
        self.gate = asyncio.Event()

    async def remake(self, _model):
        await self.gate.wait()
        return b"made for it"


@contextmanager
def _making():
    core, made = _Core(), []
    send = Send("r", "home/a", "home", Rule.HOME, "chat", NS_PER_S, ())
    trace = SimpleNamespace(first_token=lambda _ttft_ns: None)
    attempt = Attempt(core, send, 1, trace)
    face, transcript = _Face(), SimpleNamespace(remake=made.append)
    task = asyncio.create_task(remade(attempt, transcript, b", over", face))
    try:
        yield attempt, face, task, core, made
    finally:
        task.cancel()


async def test_the_time_to_make_it_is_not_the_endpoints(monkeypatch):
    """What an endpoint is held against, and its version judged by, is its own first token."""
    now = [NS_PER_S]
    monkeypatch.setattr(attempts, "now_ns", lambda: now[0])
    with _making() as (attempt, face, task, core, made):
        await asyncio.sleep(0)
        now[0] += 30 * NS_PER_S
        face.gate.set()
        assert await task is None
        assert made == [b"made for it, over"]
        now[0] += 1_000
        attempt.first_token()
        [seen] = core.heard
        assert isinstance(seen, OutcomeSeen)
        assert seen.outcome.ttft_ns == 1_000


@pytest.mark.parametrize("why", [CUT, CUT._replace(details="moved")])
async def test_an_attempt_that_is_given_up_meanwhile_is_not_sent(why):
    """A router that stops, or an endpoint that drains, waits for no prompt."""
    with _making() as (attempt, face, task, _, _):
        await asyncio.sleep(0)
        attempt.give_up(why)
        face.gate.set()
        assert await task is why
