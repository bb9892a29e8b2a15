"""What the demo's tables take from the router's states."""

from benchmarks.demo.watch import FleetWatch
from wire.spillway.v1 import fleet_pb2


def state(queried: int, hit: int) -> fleet_pb2.FleetState:
    site = fleet_pb2.SiteState(name="rented", prefix_query_tokens=queried, prefix_hit_tokens=hit)
    return fleet_pb2.FleetState(sites=[site])


def test_the_hit_rate_outlives_the_engine():
    """Its successor begins at nothing."""
    watch = FleetWatch()
    assert watch.hit_rate("rented") == 0
    for at_s, (queried, hit) in enumerate([(0, 0), (100, 20), (400, 100), (0, 0), (50, 50)]):
        watch.hear(state(queried, hit), at_s)
    assert watch.hit_rate("rented") == 0.25
