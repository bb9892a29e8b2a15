"""P7 with versions and a stand-in: whatever happens, in whatever order, counts return to zero."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from router.policy.core import RouterCore
from router.policy.decision import Send
from router.policy.endpoint import Endpoint
from router.policy.rollout import Rollout
from tests.router.policy import test_counts, toy

_MODEL_OF = {"home-0": "v1", "home-1": "v2", "rented-0": "small", "rented-1": "v1"}


def _fleet(share=0.5):
    fleet = toy.fleet()
    (slo,) = fleet.slo_classes
    rollout = Rollout(toy.MODEL, "v1", "v2", share)
    return replace(fleet, slo_classes=(replace(slo, stand_in="small"),), rollouts=(rollout,))


class Models(test_counts.Fleet):
    """The same, of a name that two versions serve and a third model may stand in for."""

    def __init__(self) -> None:
        super().__init__()
        self.core = RouterCore(_fleet())

    @rule(name=st.sampled_from(sorted(_MODEL_OF)))
    def an_endpoint_comes(self, name):
        site = test_counts._NAMES[name]
        self.core.on_endpoint_up(Endpoint(name, site, _MODEL_OF[name]), self.now)

    @rule(why=st.sampled_from(["", "so"]))
    def an_operator_says_something(self, why):
        self.core.rollouts.change(toy.MODEL, why, self.now)

    @rule(share=st.sampled_from([0.0, 0.5, 1.0]))
    def the_share_is_another(self, share):
        self.core.on_fleet(_fleet(share), self.now)

    def _follow(self, request, decision):
        if isinstance(decision, Send):
            assert decision.model == _MODEL_OF[decision.endpoint]
            assert decision.asked == toy.MODEL
            assert bool(decision.because) == (decision.model == "small")
        super()._follow(request, decision)


TestModels = Models.TestCase
TestModels.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
