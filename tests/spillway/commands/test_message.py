"""What scripts read of a message."""

from spillway.commands.message import as_json
from wire.spillway.v1.fleet_pb2 import EndpointState, FleetState, SiteState
from wire.spillway.v1.link_pb2 import Down


def test_every_number_is_a_number():
    """Those of 64 bits too, however deep, and those that are 0."""
    site = SiteState(turns=2**60, endpoints=[EndpointState(generated_tokens=7)])
    found = as_json(FleetState(sampled_unix_ns=3, sites=[site]))
    assert found["sampled_unix_ns"] == 3
    assert found["refused"] == 0
    assert found["sites"][0]["turns"] == 2**60
    assert found["sites"][0]["cost_usd"] == 0.0
    assert found["sites"][0]["endpoints"][0]["generated_tokens"] == 7
    assert found["sites"][0]["endpoints"][0]["health"] == EndpointState.Health.Name(0)


def test_a_list_of_numbers_is_a_list_of_numbers():
    """Empty, too."""
    assert as_json(Down(sessions=[1, 2**60]))["sessions"] == [1, 2**60]
    assert as_json(Down())["sessions"] == []
