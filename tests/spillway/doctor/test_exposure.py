"""What others reach: sockets of this machine, and what a fleet file opens."""

import pytest

from spillway.doctor import exposure
from spillway.doctor.finding import Level
from spillway.doctor.listeners import Listener
from spillway.fleet import read

FLEET = """
sites:
  a: {kind: home, endpoints: [127.0.0.1:9000]}
slo_classes:
  b: {ttft: 1s, itl: 1s}
"""


def test_ray_beyond_the_loopback_interface_is_told_with_what_it_means():
    """The sockets of one kind of process are one line; what is not Ray's or ours is none."""
    found = list(
        exposure.host(
            [
                Listener("0.0.0.0", 6379, 1, "/ray/core/src/gcs_server --x"),
                Listener("10.0.0.5", 40000, 2, "ray::ServeReplica:spillway"),
                Listener("10.0.0.5", 40001, 3, "ray::ServeReplica:spillway"),
                Listener("127.0.0.1", 8265, 4, "python dashboard.py"),
                Listener("0.0.0.0", 80, 5, "nginx"),
                Listener("0.0.0.0", 24192, 6, "python -m spillway up --local"),
                Listener("::", 40002, 2, "ray::ServeReplica:spillway"),
            ]
        )
    )
    assert [one.level for one in found] == [Level.WARNING, Level.WARNING]
    assert "whoever reaches it runs programs" in found[0].what
    assert "10.0.0.5:40000, 10.0.0.5:40001, [::]:40002" in found[1].what


def test_a_machine_that_opens_nothing_is_well():
    """One line says so."""
    (found,) = exposure.host([Listener("127.0.0.1", 6379, 1, "gcs_server")])
    assert found.level is Level.OK


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            (
                "router: {listen: '0.0.0.0:7070', plaintext: i-accept-that-anyone-can-read-this,"
                " authentication: {anonymous: true}}"
            ),
            ["router.listen is 0.0.0.0:7070 without TLS", "lets in whoever comes"],
        ),
        (
            (
                "router: {metrics_listen: '0.0.0.0:7071', plaintext:"
                " i-accept-that-anyone-can-read-this}"
            ),
            ["router.metrics_listen is 0.0.0.0:7071 without TLS"],
        ),
    ],
)
def test_what_a_router_opens_without_tls_or_names_is_told(change, said):
    """By the key of the fleet file that does it."""
    found = list(exposure.fleet(read(FLEET + change)))
    assert len(found) == len(said)
    assert all(words in one.what for words, one in zip(said, found, strict=True))


def test_a_dashboard_over_a_network_is_told_and_one_through_a_tunnel_is_not():
    """Whoever reaches it runs programs there."""
    ray = "a: {kind: home, ray: {dashboard: 'http://%s:8265'}, plaintext: %s}"
    accepted = "i-accept-that-anyone-can-read-this"
    near = FLEET.replace(
        "a: {kind: home, endpoints: [127.0.0.1:9000]}", ray % ("127.0.0.1", accepted)
    )
    far = near.replace("127.0.0.1", "10.0.0.5")
    assert sum("dashboard" in one.what for one in exposure.fleet(read(near))) == 0
    assert sum("dashboard" in one.what for one in exposure.fleet(read(far))) == 1


def test_a_fleet_that_opens_nothing_is_well():
    """All on the loopback interface."""
    (found,) = exposure.fleet(read(FLEET))
    assert found.level is Level.OK
