"""What a live router publishes of how many replicas its sites should have."""

import random

from prometheus_client import CollectorRegistry

from router.live.autoscaler import Autoscaler
from router.observe.metrics import Metrics
from router.policy.core import RouterCore
from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet, Site, SiteKind, SloClass
from router.policy.loan import Away
from router.policy.request import Request
from router.policy.scale import Autoscaling, Scale
from router.policy.units import NS_PER_MS, NS_PER_S
from wire.spillway.v1 import fleet_pb2 as pb

SLO = SloClass("chat", NS_PER_S, 100 * NS_PER_MS)
HOME = Site("home", SiteKind.HOME, scale=Scale(1, 3))
PLAIN = Site("plain", SiteKind.HOME)
FINDS_LOOKS = Autoscaling().find_ns // NS_PER_S


class Core:
    """A core without the router around it."""

    def __init__(self, fleet):
        self.core = RouterCore(fleet)
        self.core.on_endpoint_up(Endpoint("h", "home", "m"), 0)

    def scaling_sample(self):
        return self.core.scaling.sample()


class Clock:
    """A wall clock that is set."""

    def __init__(self):
        self.now = 1_000_000 * NS_PER_S

    def __call__(self):
        return self.now


def autoscaler(*sites, away=0, finds=True):
    fleet = Fleet(sites, (SLO,), "chat")
    core, clock, registry = Core(fleet), Clock(), CollectorRegistry()
    metrics = Metrics(registry, [site.name for site in sites])
    made = Autoscaler(core, fleet, metrics, lambda _: Away(away, 0), 60.0, clock)
    for _ in range(FINDS_LOOKS if finds else 0):
        made.look()
        clock.now += NS_PER_S
    return made, core, clock, registry


def told(one):
    state = pb.FleetState(sites=[pb.SiteState(name="home"), pb.SiteState(name="plain")])
    one.tell(state)
    return state.sites


def test_what_is_wanted_is_told_with_its_reason_and_bounds():
    """In a fleet's state and in the metrics; a site that does not scale has none."""
    one, _, _, registry = autoscaler(HOME, PLAIN)
    one.look()
    home, plain = told(one)
    assert (home.scaling.wanted, home.scaling.serving) == (1, 1)
    assert (home.scaling.replicas_min, home.scaling.replicas_max) == (1, 3)
    assert "requests/s" in home.scaling.reason
    assert not plain.HasField("scaling")
    assert registry.get_sample_value("spillway_wanted_replicas", {"site": "home"}) == 1


def test_a_router_that_starts_wants_nothing_before_it_has_found_its_replicas():
    """What is listed late is not given back because nothing was seen of it at first."""
    one, core, clock, _ = autoscaler(HOME, finds=False)
    core.core.on_endpoint_gone("h", 0)
    for second in range(FINDS_LOOKS):
        one.look()
        assert not told(one)[0].HasField("scaling")
        clock.now += NS_PER_S
        if second == FINDS_LOOKS // 2:
            for name in ("h", "i", "j"):
                core.core.on_endpoint_up(Endpoint(name, "home", "m"), 0)
    one.look()
    assert (told(one)[0].scaling.wanted, told(one)[0].scaling.serving) == (3, 3)


def test_demand_that_nobody_can_serve_wants_all_there_may_be():
    """Within a minute, and less what is lent."""
    rng = random.Random(1)
    for away, most in ((0, 3), (1, 2)):
        one, core, clock, _ = autoscaler(HOME, away=away)
        for second in range(60):
            clock.now += NS_PER_S
            for index in range(40):
                request = Request(f"{second}/{index}", "m", prompt_tokens=4_000)
                core.core.on_request(request, second * NS_PER_S, rng)
            one.look()
        assert one.want("home").wanted == most


def test_a_clock_that_is_set_back_does_not_stop_it():
    """It looks again at once."""
    one, _, clock, _ = autoscaler(HOME)
    one.look()
    clock.now -= 3_600 * NS_PER_S
    one.look()
    clock.now += 20 * NS_PER_S
    one.look()
    assert one.want("home").wanted == 1


def test_another_fleet_file_changes_the_bounds():
    """A site that scales no longer is told of no longer."""
    one, _, clock, _ = autoscaler(HOME, PLAIN)
    one.look()
    wider = Site("home", SiteKind.HOME, scale=Scale(2, 5))
    one.adopt(Fleet((wider, PLAIN), (SLO,), "chat"))
    clock.now += 20 * NS_PER_S
    one.look()
    assert told(one)[0].scaling.replicas_max == 5
    assert one.want("home").wanted == 2
    one.adopt(Fleet((Site("home", SiteKind.HOME), PLAIN), (SLO,), "chat"))
    clock.now += 20 * NS_PER_S
    one.look()
    assert not told(one)[0].HasField("scaling")
