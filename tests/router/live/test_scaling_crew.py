"""Several workers want of a site what all their requests together need."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from router.live.scaling_crew import WANTS_FRESH_NS, ScalingCrew
from router.policy.lending import Reclaim
from router.policy.scale import Autoscaling, Scale
from router.policy.scaling.capacity import Sample
from router.policy.scaling.demand import Asked
from router.policy.units import NS_PER_S
from tests.router.live.conftest import CLOUD, HOME, address, ask, engine, fleet_of
from tests.router.live.hosting import received, workers
from tests.waiting import until
from wire.spillway.v1 import fleet_pb2
from wire.spillway.v1 import host_pb2 as pb

QUICK = Autoscaling(level_ns=NS_PER_S, look_ns=NS_PER_S, find_ns=NS_PER_S)
SCALED = replace(fleet_of(replace(HOME, scale=Scale(1, 3)), CLOUD), autoscaling=QUICK)
TURNS = 4


async def test_what_is_wanted_is_wanted_for_the_requests_of_all_workers(tmp_path):
    """The first counts what each was asked, and each publishes what the first wants."""
    async with (
        engine(itl_s=0) as server,
        received(tmp_path, [address(server)]) as (_, where),
        workers(where, count=3, fleet=SCALED) as routed,
    ):
        for one in routed:
            for _ in range(TURNS):
                await one.stream(ask())
        crew = routed[0].router._crew
        await until(lambda: crew.sample().asked.requests == 3 * TURNS)
        assert crew.sample().sites[0].work_tokens > 0

        def said(one):
            want = one.router._autoscaler.want("home")
            return want and (want.wanted, want.serving, want.replicas_max)

        await until(lambda: [said(one) for one in routed] == [(1, 1, 3)] * 3)
        for one in routed:
            state = await one.state_where(lambda state: state.sites[0].HasField("scaling"))
            assert "requests/s" in state.sites[0].scaling.reason


async def test_while_the_others_cannot_be_heard_nothing_is_decided(tmp_path):
    """What the first worker sees alone would be too little, and replicas would be given back."""
    async with (
        engine(itl_s=0) as server,
        received(tmp_path, [address(server)]) as (receiver, where),
        workers(where, count=2, fleet=SCALED) as (first, _),
    ):
        crew = first.router._crew
        await until(lambda: crew.sample() is not None)
        await receiver.stop()
        await until(lambda: crew.sample() is None)


async def test_a_loan_is_weighed_once_against_what_all_workers_spend(tmp_path):
    """The first does it; another one takes nothing back, however much it spends itself."""
    lends = replace(HOME, reclaim=Reclaim(worth_usd_per_hour=1.0))
    fleet = replace(fleet_of(lends, CLOUD), autoscaling=QUICK)
    async with (
        engine(itl_s=0) as server,
        received(tmp_path, [address(server)]) as (_, where),
        workers(where, count=2, fleet=fleet) as (first, other),
    ):
        crew = first.router._crew
        await until(lambda: crew.spent_usd(["cloud"])[1] == 1)
        spends = pb.SiteDone(site="cloud", spent_usd=3.0)
        crew.hear_demand(pb.Demand(worker=1, began=1, sites=[spends]))
        assert first.router._lender._spent_usd() == pytest.approx(3.0)
        assert other.router._lender._spent_usd() == 0.0
        assert not other.router._crew.leads


class Clock:
    """A wall clock that is set."""

    now = 1_000 * NS_PER_S

    def __call__(self):
        return self.now


def test_what_the_first_worker_said_long_ago_is_said_no_longer():
    """It may be gone; whoever follows a router keeps what there is where none says anything."""
    clock = Clock()
    feed = SimpleNamespace(leads=False, worker=1, is_joined=True)
    core = SimpleNamespace(scaling_sample=lambda: Sample(Asked(), ()))
    crew = ScalingCrew(feed, core, clock)
    assert not crew.wants()
    crew.hear_wants(pb.Wants(wants=[pb.Want(site="home", scaling=fleet_pb2.Scaling(wanted=2))]))
    clock.now += WANTS_FRESH_NS
    assert crew.wants()["home"].wanted == 2
    clock.now += 1
    assert not crew.wants()
