"""The meter of a rented site: requests share its bill; what is committed costs nothing."""

import pytest

from router.policy.fleet import Price
from router.policy.units import NS_PER_HOUR
from router.sim.meter import Meter


def test_streams_on_one_replica_share_its_time():
    """Two hours of work at 3 dollars: one stream had it alone for an hour, both for the other."""
    meter = Meter(Price(metered_usd_per_replica_hour=3.0))
    first = meter.begin("far/0", 0.0, 0)
    meter.first_token("far/0", first, 0)
    second = meter.begin("far/0", 0.0, NS_PER_HOUR)
    meter.first_token("far/0", second, NS_PER_HOUR)
    assert meter.end("far/0", first, 0, 2 * NS_PER_HOUR) == pytest.approx(4.5)
    assert meter.end("far/0", second, 0, 2 * NS_PER_HOUR) == pytest.approx(1.5)


def test_committed_replicas_cost_nothing_while_they_suffice():
    """The second busy replica of a site with one committed is the first to be paid."""
    meter = Meter(Price(committed_replicas=1, metered_usd_per_replica_hour=3.0))
    first = meter.begin("far/0", 0.0, 0)
    assert meter.end("far/0", first, 0, NS_PER_HOUR) == 0.0
    marks = [meter.begin(name, 0.0, NS_PER_HOUR) for name in ("far/0", "far/1")]
    bills = [
        meter.end(name, mark, 0, 2 * NS_PER_HOUR)
        for name, mark in zip(("far/0", "far/1"), marks, strict=True)
    ]
    assert sum(bills) == pytest.approx(3.0)


def test_egress_is_paid_by_the_byte():
    """A gibibyte out of a site costs what its price says."""
    meter = Meter(Price(egress_usd_per_gib=0.05))
    mark = meter.begin("far/0", 0.0, 0)
    assert meter.end("far/0", mark, 1 << 30, NS_PER_HOUR) == pytest.approx(0.05)
