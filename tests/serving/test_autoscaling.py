"""Serve's autoscaling policy that asks routers, with routers' messages and Ray's classes."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import grpc
import pytest

from serving import autoscaling
from serving.autoscaling import FRESH_S, Heard, RouterWants
from serving.placement import deployment_options
from serving.settings import SettingsError, read_settings
from tests.waiting import wait_until
from wire.spillway.v1 import fleet_pb2 as pb
from wire.spillway.v1 import fleet_pb2_grpc


def state(wanted, need=0.0, site="home", most=9):
    scaling = pb.Scaling(wanted=wanted, need=need, replicas_max=most)
    return pb.FleetState(
        sites=[pb.SiteState(name="other"), pb.SiteState(name=site, scaling=scaling)]
    )


@dataclass
class Seen:
    """What Serve shows of a deployment."""

    target_num_replicas: int
    total_num_requests: float = 0.0


class FakeRouter(fleet_pb2_grpc.FleetServicer):
    """Says what it wants, again and again."""

    def __init__(self):
        self.wanted = 3
        self.need = 0.0
        self.keys = []

    def Watch(self, request, context):
        self.keys.append(dict(context.invocation_metadata()).get("authorization"))
        while context.is_active():
            yield state(self.wanted, self.need)
            time.sleep(0.05)


@pytest.fixture
def router():
    """A router that can be stopped, with its port."""
    server = grpc.server(ThreadPoolExecutor(4))
    fake = FakeRouter()
    fleet_pb2_grpc.add_FleetServicer_to_server(fake, server)
    fake.port, fake.server = server.add_insecure_port("127.0.0.1:0"), server
    server.start()
    yield fake
    server.stop(0)


def test_a_site_follows_what_its_router_wants(router, tmp_path):
    """With the key of a reader, where it is given one."""
    key = tmp_path / "key"
    key.write_text("secret\n")
    policy = RouterWants("home", [f"127.0.0.1:{router.port}"], 8.0, str(key))
    wait_until(lambda: policy(Seen(1))[0] == 3)
    router.wanted = 2
    wait_until(lambda: policy(Seen(3))[0] == 2)
    assert router.keys == ["Bearer secret"]


def test_why_a_router_cannot_be_heard_is_logged_once(router, tmp_path, caplog, monkeypatch):
    """A key that is not there, a name that is not in its certificate: nobody else says it."""
    monkeypatch.setattr(autoscaling, "_RETRY_S", 0.01)
    key = tmp_path / "key"
    policy = RouterWants("home", [f"127.0.0.1:{router.port}"], 8.0, str(key))
    wait_until(lambda: len(caplog.records) == 1)
    key.write_text("secret\nof two lines")
    wait_until(lambda: len(caplog.records) == 2)
    key.write_text("secret")
    wait_until(lambda: policy(Seen(1))[0] == 3)
    assert [one.levelname for one in caplog.records] == ["WARNING"] * 2
    assert str(key) in caplog.text
    assert "secret" not in caplog.text


def test_the_last_replica_lets_its_requests_end_for_a_while(router, monkeypatch):
    """Then they go on elsewhere: a metered replica is not paid for as long as a stream lasts."""
    router.wanted = 0
    policy = RouterWants("home", [f"127.0.0.1:{router.port}"], 8.0)
    wait_until(lambda: policy(Seen(2))[0] == 0)
    assert policy(Seen(2, 1.0))[0] == 1
    monkeypatch.setattr(autoscaling, "LINGER_S", 0.0)
    assert policy(Seen(1, 1.0))[0] == 0


def test_the_while_begins_anew_where_the_site_was_wanted_meanwhile(monkeypatch):
    """Or had no requests: what comes then has its own while."""
    clock = [1_000.0]
    monkeypatch.setattr(autoscaling.time, "monotonic", lambda: clock[0])
    policy = RouterWants("home", [], 8.0)
    wants = policy._heard
    wants.hear("a", state(0))
    assert policy(Seen(1, 1.0))[0] == 1
    clock[0] += autoscaling.LINGER_S - 1.0
    for wanted, ongoing in ((1, 1.0), (0, 0.0)):
        wants.hear("a", state(wanted))
        assert policy(Seen(1, ongoing))[0] == wanted
        wants.hear("a", state(0))
        assert policy(Seen(1, 1.0))[0] == 1
        clock[0] += autoscaling.LINGER_S - 1.0


def test_where_no_router_is_heard_its_last_requests_keep_a_replica(monkeypatch):
    """Nobody would have them go on elsewhere."""
    monkeypatch.setattr(autoscaling, "AWAY_S", -1.0)
    monkeypatch.setattr(autoscaling, "LINGER_S", 0.0)
    assert RouterWants("home", [], 8.0)(Seen(2, 0.001))[0] == 1


def test_without_a_router_it_keeps_what_it_has_and_grows_by_its_own_load(monkeypatch):
    """And shrinks by it only after a while."""
    policy = RouterWants("home", [], 8.0)
    assert policy(Seen(2))[0] == 2
    assert policy(Seen(2, 30.0))[0] == 4
    monkeypatch.setattr(autoscaling, "AWAY_S", -1.0)
    assert policy(Seen(2, 3.0))[0] == 1
    assert policy(Seen(2))[0] == 0


def test_what_was_said_long_ago_is_wanted_no_more():
    """A router that fell silent is away."""
    heard = Heard("home")
    heard.hear("a", state(3))
    now_s = time.monotonic()
    assert heard.wanted(now_s) == 3
    assert heard.wanted(now_s + FRESH_S + 1) is None


def test_routers_want_together_what_all_their_requests_need(monkeypatch):
    """Each sees a part of them; another site's wants are not its."""
    monkeypatch.setattr(autoscaling, "SPARE_S", -1.0)
    heard = Heard("home")
    heard.hear("a", state(2, 1.4))
    heard.hear("b", state(2, 1.3))
    heard.hear("c", state(9, 9.0, site="cloud"))
    assert heard.wanted(time.monotonic()) == 3
    heard.hear("b", state(1, 0.1))
    assert heard.wanted(time.monotonic()) == 2


def test_together_routers_give_back_only_what_was_spare_for_a_while(monkeypatch):
    """Nor does a site shrink because one of them is away, whose clients come to the others."""
    monkeypatch.setattr(autoscaling, "FRESH_S", 1e9)
    heard = Heard("home")
    heard.hear("a", state(2, 1.4))
    heard.hear("b", state(3, 2.4))
    now_s = time.monotonic()
    assert heard.wanted(now_s) == 4
    heard.hear("b", state(2, 0.3))
    assert heard.wanted(now_s + 1.0) == 4
    heard.hear("b", state(2, 1.1))
    assert heard.wanted(now_s + 300.0) == 4
    assert heard.wanted(now_s + autoscaling.SPARE_S + 1.0) == 3
    heard.hear("b", state(1, 0.1))
    assert heard.wanted(now_s + 2 * autoscaling.SPARE_S) == 3
    assert heard.wanted(now_s + 3 * autoscaling.SPARE_S + 2.0) == 2


def test_together_routers_want_no_more_than_a_loan_and_a_budget_leave():
    """Each of them may have all that is left, and has it only once."""
    heard = Heard("home")
    heard.hear("a", state(2, 2.0, most=2))
    heard.hear("b", state(2, 1.9, most=4))  # it has not heard of the loan yet
    assert heard.wanted(time.monotonic()) == 2


def autoscaled(**more):
    scale = {"site": "home", "routers": ["127.0.0.1:1"], "min_replicas": 0, "max_replicas": 3}
    return read_settings({"engine": "fake", "model": "m", "autoscale": scale | more})


def test_each_address_of_a_name_is_a_router_of_its_own(router, monkeypatch):
    """As pods behind a headless Service: what they need adds up, and one that goes is forgotten."""
    monkeypatch.setattr(autoscaling, "_RESOLVE_S", 0.01)
    monkeypatch.setattr(autoscaling, "FRESH_S", 1.0)
    there = {f"127.0.0.1:{router.port}", f"localhost:{router.port}"}
    router.need = 1.6
    monkeypatch.setattr(autoscaling, "_addresses", lambda name: there if name == "pods:1" else ())
    policy = RouterWants("home", ["pods:1"], 8.0, each_address=True)
    wait_until(lambda: policy(Seen(1))[0] == 4)
    there.pop()
    router.wanted = 2
    monkeypatch.setattr(autoscaling, "SPARE_S", -1.0)
    wait_until(lambda: policy(Seen(1))[0] == 2)


def test_a_name_that_cannot_be_resolved_keeps_whom_it_had(router, monkeypatch, caplog):
    monkeypatch.setattr(autoscaling, "_RESOLVE_S", 0.01)
    asked = []

    def addresses(name):
        asked.append(name)
        if len(asked) != 2:
            raise OSError("no name server")
        return {f"127.0.0.1:{router.port}"}

    monkeypatch.setattr(autoscaling, "_addresses", addresses)
    policy = RouterWants("home", ["pods:1"], 8.0, each_address=True)
    wait_until(lambda: len(asked) > 5)
    wait_until(lambda: policy(Seen(1))[0] == 3)
    assert "pods:1 has no address: no name server" in caplog.text


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (["10.0.0.1", "10.0.0.2", "fd00::1", "fd00::2"], {"10.0.0.1:7", "10.0.0.2:7"}),
        (["fd00::1"], {"[fd00::1]:7"}),
        ([], set()),
    ],
)
def test_a_router_of_two_kinds_of_addresses_is_one(found, expected, monkeypatch):
    def resolve(host, port, **_):
        assert (host, port) == ("pods", 7)
        return [
            (socket.AF_INET6 if ":" in at else socket.AF_INET, 1, 6, "", (at, port)) for at in found
        ]

    monkeypatch.setattr(autoscaling.socket, "getaddrinfo", resolve)
    assert autoscaling._addresses("pods:7") == expected


def test_ray_serve_takes_the_policy():
    """As Serve's controller makes it of a deployment's options, and asks it.

    It imports the module anew: what comes below cannot patch the one that RouterWants is from.
    """
    ray_config = pytest.importorskip("ray.serve.config")
    state_module = pytest.importorskip("ray.serve._private.autoscaling_state")
    options = deployment_options(autoscaled(), cluster_gpus=0)
    assert "num_replicas" not in options
    config = ray_config.AutoscalingConfig(**options["autoscaling_config"])
    assert (config.min_replicas, config.initial_replicas, config.max_replicas) == (0, 1, 3)
    policy = state_module._resolve_policy_callable(config.policy)
    assert policy(Seen(2)) == (2, {})


def test_bounds_that_cannot_be_meant_are_refused():
    """By the name of the setting."""
    with pytest.raises(SettingsError, match=r"autoscale.*max_replicas is below min_replicas"):
        autoscaled(min_replicas=4)
    with pytest.raises(SettingsError, match=r"autoscale\.routers"):
        autoscaled(routers=[])


def test_what_is_of_tls_needs_an_authority():
    for wrong in ({"certificate": "/c", "key": "/k"}, {"identity": "home.example.org"}):
        with pytest.raises(SettingsError, match="give authority"):
            autoscaled(**wrong)
    with pytest.raises(SettingsError, match="certificate and key go together"):
        autoscaled(authority="/a", certificate="/c")
