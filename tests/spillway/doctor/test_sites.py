"""Sites as a router would reach them."""

import socket

import pytest

from spillway.doctor.finding import Level
from spillway.doctor.sites import sites
from spillway.fleet import read
from spillway.probing.endpoint import BULK_BYTES
from tests.spillway.commands.fake_dashboard import FakeDashboard
from tests.spillway.commands.fake_dashboard import serving as dashboard_serving
from tests.spillway.probing.reporting_replica import ReportingReplica, serving


def fleet(*addresses):
    lines = "".join(
        f"  s{place}: {{kind: home, endpoints: ['{address}']}}\n"
        for place, address in enumerate(addresses)
    )
    return read(f"sites:\n{lines}slo_classes:\n  b: {{ttft: 1s, itl: 1s}}\n")


def test_distance_clock_and_bandwidth_are_told_for_each_site():
    """A clock that is off is told whichever way it is."""
    with (
        serving(ReportingReplica()) as right,
        serving(ReportingReplica(ahead_s=-90)) as behind,
        serving(ReportingReplica(ahead_s=2)) as ahead,
    ):
        file = fleet(right.address, behind.address, ahead.address)
        found = list(sites(file))
    clocks = {one.check: one for one in found if "the clock" in one.what}
    assert clocks["site s0"].level is Level.OK
    assert clocks["site s1"].level is Level.PROBLEM
    assert "s behind this one" in clocks["site s1"].what
    assert clocks["site s2"].level is Level.WARNING
    assert "ahead of this one" in clocks["site s2"].what
    assert sum("ms away" in one.what and "fake 1.0" in one.what for one in found) == 3
    assert sum("MB/s to" in one.what for one in found) == 3
    assert right.received_bytes > BULK_BYTES


def test_a_site_that_is_not_there_is_a_problem_and_the_others_are_asked():
    """With gRPC's own reason."""
    with socket.socket() as probe, serving(ReportingReplica()) as there:
        probe.bind(("127.0.0.1", 0))
        absent = f"127.0.0.1:{probe.getsockname()[1]}"
        found = list(sites(fleet(absent, there.address), ask_s=1.0))
    assert found[0].level is Level.PROBLEM
    assert f"{absent} is not reached" in found[0].what
    assert any(one.check == "site s1" and one.level is Level.OK for one in found)


def test_sites_of_one_model_with_other_weights_are_told():
    """No stream may go on between them."""
    with (
        serving(ReportingReplica()) as one,
        serving(ReportingReplica(weights="w2")) as other,
        serving(ReportingReplica(model="small", weights="w3")) as small,
    ):
        found = list(sites(fleet(one.address, other.address, small.address)))
    unlike = [finding for finding in found if finding.check == "models"]
    assert [finding.level for finding in unlike] == [Level.WARNING]
    assert "tiny has another weights at s1/" in unlike[0].what


@pytest.mark.parametrize(("ahead_s", "level"), [(0, Level.OK), (120, Level.PROBLEM)])
def test_a_site_without_engines_is_judged_by_its_dashboard_s_date(ahead_s, level):
    """To the second, which is what it has."""
    with dashboard_serving(FakeDashboard([], ahead_s=ahead_s)) as dashboard:
        text = f"sites: {{a: {{kind: home, ray: {{dashboard: '{dashboard.url}'}}}}}}\n"
        found = list(sites(read(text + "slo_classes: {b: {ttft: 1s, itl: 1s}}\n")))
    assert "lists no endpoint" in found[0].what
    (clock,) = [one for one in found if "the clock of its dashboard" in one.what]
    assert clock.level is level
