"""The measurement of direct mode, on a small size."""

import pytest

from benchmarks.dataplane.direct import measure, sentences

pytestmark = pytest.mark.live


async def test_placements_are_timed_and_streams_pass_the_router_by(monkeypatch):
    """Every request of the second part is placed, and none goes through the router."""
    monkeypatch.setenv("SPILLWAY_LEASE_KEYS", "")
    costs = await measure(calls=20, streams=2, seconds=3.0)
    assert costs.check_ms_p50 > 0
    assert costs.place_ms_p50 > 0
    assert costs.tokens > 0
    assert costs.placed >= costs.requests > 0
    assert "direct streams" in sentences(costs)[1]
