"""A roll-out that one worker of a router takes back is taken back by all of them."""

import contextlib
from dataclasses import replace

import grpc

from router.live.reloading import Reading
from router.live.settings import SiteAccess
from router.policy.rollout import Rollout
from tests.router.live.conftest import CLOUD, HOME, SETTINGS, ask, fleet_of
from tests.router.live.hosting import received, workers
from tests.router.live.scripted import fails, says, scripted
from tests.waiting import until
from wire.spillway.v1 import fleet_pb2 as pb

FLEET = replace(fleet_of(HOME, CLOUD), rollouts=(Rollout("chat", "v1", "v2", share=0.3),))


@contextlib.asynccontextmanager
async def _engines():
    async with (
        scripted(says("fine"), names=("v1",)) as first,
        scripted(fails(grpc.StatusCode.INTERNAL), names=("v2",)) as second,
    ):
        yield [first.address, second.address]


def _known(receiver):
    return {name: (word.why, word.new) for name, word in receiver._rollouts.items()}


def _returned(state):
    return bool(state.rollouts[0].returned)


async def test_what_one_worker_finds_holds_for_all_until_an_operator_resumes_it(tmp_path):
    """Also for one that starts later, which has seen nothing of it."""
    async with (
        _engines() as at,
        received(tmp_path, at, fleet=FLEET) as (_, where),
        workers(where, endpoints=2, fleet=FLEET) as (one, other),
    ):
        for n in range(120):
            await one.stream(ask(model="chat", session_id=f"s{n}"))
        found = await one.state_where(_returned)
        told = await other.state_where(_returned)
        assert told.rollouts[0].returned == found.rollouts[0].returned
        async with workers(where, count=1, endpoints=2, fleet=FLEET) as (late,):
            await late.state_where(_returned)
        await other.fleet.ResumeRollout(pb.ResumeRolloutRequest(model="chat"))
        await one.state_where(lambda state: not _returned(state))


async def test_a_return_outlives_the_receiver(tmp_path):
    """One that is started anew hears of it from the workers that know, and tells the others."""
    async with _engines() as at, contextlib.AsyncExitStack() as opened:
        async with received(tmp_path, at, fleet=FLEET) as (_, where):
            joined = workers(where, count=1, endpoints=2, fleet=FLEET)
            (one,) = await opened.enter_async_context(joined)
            await one.fleet.ReturnRollout(pb.ReturnRolloutRequest(model="chat", why="rude"))
        async with received(tmp_path, at, fleet=FLEET) as (receiver, _):
            await until(lambda: receiver._rollouts)
            assert _known(receiver) == {"chat": ("rude", "v2")}
            async with workers(where, count=1, endpoints=2, fleet=FLEET) as (late,):
                await late.state_where(_returned)


async def test_a_reload_forgets_a_return_only_where_it_says_something_else_of_that_model(tmp_path):
    """What the file says of other models is no word on this one, for who joins later either."""
    code = Rollout("code", "c1", "c2", share=0.1)
    more = replace(FLEET, rollouts=(*FLEET.rollouts, code))
    other = replace(FLEET, rollouts=(replace(FLEET.rollouts[0], share=0.5), code))
    async with (
        _engines() as at,
        received(tmp_path, at, fleet=FLEET) as (receiver, where),
        workers(where, count=1, endpoints=2, fleet=FLEET) as (one,),
    ):
        await one.fleet.ReturnRollout(pb.ReturnRolloutRequest(model="chat", why="rude"))
        await until(lambda: receiver._rollouts)
        access = (SiteAccess("home", endpoints=tuple(at), link=False),)
        for fleet, known in ((more, {"chat": ("rude", "v2")}), (other, {})):
            receiver.apply(receiver.prepare(Reading(fleet, access, SETTINGS, "digest")))
            assert _known(receiver) == known
