"""A stand-in in virtual time: it answers in a rush, and in calm the model that was asked does."""

from router.policy.core import RouterCore
from router.policy.fleet import Fleet, Site, SiteKind, SloClass
from router.policy.units import NS_PER_MS, NS_PER_S
from router.sim.plan import Link, Scenario
from router.sim.world import World
from tests.router.sim.test_world import PROFILE, sessions

SMALL = ("home/small0", "home/small1", "home/small2")


def _run(rate, stand_in):
    """What became of every turn, where one replica serves the asked model."""
    slo = SloClass("default", NS_PER_S, 100 * NS_PER_MS, stand_in=stand_in)
    core = RouterCore(Fleet((Site("home", SiteKind.HOME),), (slo,), "default"))
    records = []
    models = {"home/big": "big"} | dict.fromkeys(SMALL, "small")
    scenario = Scenario({"home": Link(NS_PER_MS)}, 16, asks="big", models=models)
    replicas = [(name, "home", PROFILE) for name in models]
    World(scenario, replicas, [core], records.append).run(sessions(250, rate=rate))
    return records


def _missed(records):
    return sum(bool(one.refused) or one.ttft_ns > NS_PER_S for one in records)


def test_a_rush_is_answered_by_the_stand_in_as_far_as_it_has_to_be():
    """Without one most are refused; with one few, and the asked model is as full as before."""
    alone, helped = _run(20.0, ""), _run(20.0, "small")
    assert _missed(alone) > 0.5 * len(alone)
    assert _missed(helped) < 0.2 * _missed(alone)
    served = sum(one.endpoint == "home/big" and not one.refused for one in helped)
    assert served > 0.9 * sum(not one.refused for one in alone)


def test_in_calm_nothing_is_answered_by_another_model():
    """Though three replicas of it stand idle."""
    records = _run(0.5, "small")
    assert not _missed(records)
    assert {one.endpoint for one in records} == {"home/big"}
