"""The routers' chart says what our own loader takes, and lets in and out whom it has to."""

import copy

import pytest

from router.live.openness import why_not_open
from spillway.fleet import read
from tests.deploy.helm import RefusedError, overlay, render
from tests.deploy.network import ELSEWHERE, Peer, comes_in, goes_out, of_pod
from tests.deploy.pods import of_kind, pods

ROUTERS = ["router", "router-gateway-api"]
MONITOR = Peer("monitoring", {"app.kubernetes.io/name": "prometheus"})
STRANGER = Peer("somewhere", {"app": "stranger"})
GATEWAY = Peer("spillway", {"app.kubernetes.io/component": "gateway"})

WRONG = [
    ("authorities", {"ridge": {}}, "/authorities/ridge"),
    ("identity", "spiffe://example.org/router/front", "/identity"),
    ("image.tag", "latest", "/image/tag"),
    ("fleet.sites", {}, "/fleet/sites"),
    ("fleet.router", {"listen": "0.0.0.0:1"}, "additional properties 'router' not allowed"),
    ("authentication", {"anonymous": False}, "authentication: nothing says who may come in"),
    ("authentication.anonymous", True, "authentication: anonymous lets in whoever comes"),
    ("monitoring.keySecret.name", "", "monitoring.keySecret.name: routers ask Prometheus"),
    ("store.passwordSecret.name", "", "store.passwordSecret.name: the store that is started here"),
    ("store.url", "redis://a:1/0", "store.url belongs to store.kind external"),
    ("store", {"kind": "external"}, "store.url: nothing says where the external store is"),
    ("store", {"kind": "external", "url": "redis://:secret@a:1/0"}, "/store/url"),
    ("certificate.issuer.name", "", "certificate: name the issuer of cert-manager"),
    ("autoscaling", {"min": 5, "max": 4}, "autoscaling: min is 5 and max is 4"),
    ("gatewayApi", {"enabled": True}, "gatewayApi: gateway.name says where the route hangs"),
    (
        "gatewayApi",
        {"enabled": True, "gateway": {"name": "public"}, "caConfigMap": "ca"},
        "gatewayApi: there is a way in already",
    ),
    ("drainTimeoutSeconds", "60s", "/drainTimeoutSeconds"),
]


@pytest.fixture(params=ROUTERS)
def name(request):
    """Of an overlay."""
    return request.param


@pytest.fixture
def things(name):
    """What the chart makes of it."""
    return render("spillway-router", overlay(name), "front")


@pytest.fixture
def router(things):
    """The pod of a router."""
    [found] = [pod for pod in pods(things) if pod.owner.startswith("Deployment")]
    return found


def fleet_of(things):
    """The routers' fleet file, as they read it."""
    [found] = [one for one in of_kind(things, "ConfigMap") if "fleet.yaml" in one["data"]]
    return read(found["data"]["fleet.yaml"])


def with_change(path, value):
    """The values of the first overlay with one of them changed."""
    values = copy.deepcopy(overlay("router"))
    place, (*folders, leaf) = values, path.split(".")
    for folder in folders:
        place = place.setdefault(folder, {})
    place[leaf] = value
    return values


def test_the_fleet_is_the_one_that_is_described(things, name):
    """Every site, class and tenant, and nothing that nobody wrote."""
    fleet, described = fleet_of(things), overlay(name)["fleet"]
    assert {site.name for site in fleet.fleet.sites} == described["sites"].keys()
    assert {slo.name for slo in fleet.fleet.slo_classes} == described["slo_classes"].keys()
    for way in fleet.access:
        assert way.tls.identity == described["sites"][way.site]["tls"]["identity"]
        assert list(way.endpoints) == described["sites"][way.site]["endpoints"]
    assert why_not_open(fleet.router) == ""


def test_sites_know_the_routers_by_the_name_in_their_certificate(things):
    """The overlays of routers and of sites fit each other, in both directions."""
    [certificate] = of_kind(things, "Certificate")
    shown = {*certificate["spec"]["dnsNames"], *certificate["spec"].get("uris", ())}
    ways = {way.site: way for way in fleet_of(things).access}
    for name, site in (("site-home", "home"), ("site-rented", "ridge")):
        gateway = overlay(name)["gateway"]
        assert set(gateway["accept"]) & shown
        assert ways[site].tls.identity == gateway["identity"]


def test_every_file_that_a_router_reads_is_mounted(things, router):
    """Keys of tenants, of leases and of the store among them."""
    fleet = fleet_of(things)
    settings = fleet.router
    [container] = router.containers
    places = {mount["mountPath"] for mount in container["volumeMounts"]}
    wanted = (
        settings.tls.certificate,
        settings.tls.key,
        settings.tls.authority,
        settings.authentication.keys_file,
        settings.lease_key_file,
        settings.store.password_file,
        *(way.tls.authority for way in fleet.access),
    )
    assert {str(file.parent) for file in wanted if file} <= places


def test_a_router_drains_before_it_is_killed(things, router):
    """And the autoscaler takes the next one only when that is over."""
    [container] = router.containers
    pause_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    grace_s = router.spec["terminationGracePeriodSeconds"]
    assert grace_s >= pause_s + fleet_of(things).router.drain_timeout_s + 10
    for scaler in of_kind(things, "HorizontalPodAutoscaler"):
        [policy] = scaler["spec"]["behavior"]["scaleDown"]["policies"]
        assert (policy["type"], policy["value"]) == ("Pods", 1)
        assert policy["periodSeconds"] >= grace_s


def test_streams_move_away_from_a_gateway_before_it_ends_them(things):
    """A quarter of them at a time, which takes a few seconds."""
    site = render("spillway-site", overlay("site-home"))
    below = read(of_kind(site, "ConfigMap")[0]["data"]["fleet.yaml"])
    assert fleet_of(things).router.drain_timeout_s + 10 <= below.router.drain_timeout_s


def test_an_autoscaler_and_a_number_exclude_each_other(things):
    """Each rollout would set the number back."""
    [deployment] = of_kind(things, "Deployment")
    scalers = of_kind(things, "HorizontalPodAutoscaler")
    assert ("replicas" in deployment["spec"]) is not bool(scalers)
    for scaler in scalers:
        assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]


def test_clients_reach_the_faces_and_nothing_else(things, router):
    """Metrics are Prometheus's, where it is asked to come."""
    assert comes_in(things, ELSEWHERE, router, 7070)
    assert comes_in(things, ELSEWHERE, router, 7080) is bool(fleet_of(things).router.openai_listen)
    for port in (7071, 7072):
        assert not comes_in(things, STRANGER, router, port)
    assert comes_in(things, MONITOR, router, 7071) is bool(of_kind(things, "PodMonitor"))


def test_routers_reach_sites_their_store_and_the_identity_provider(things, router, name):
    """And nobody else."""
    settings = fleet_of(things).router
    assert goes_out(things, router, GATEWAY, 7070)
    assert goes_out(things, router, Peer("kube-system"), 53, "UDP")
    assert not goes_out(things, router, ELSEWHERE, 22)
    tokens = settings.authentication.tokens.issuer is not None
    assert goes_out(things, router, ELSEWHERE, 443) is tokens
    if name == "router":
        [valkey] = [pod for pod in pods(things) if pod.owner.startswith("StatefulSet")]
        assert goes_out(things, router, of_pod(valkey), 6379)
        assert comes_in(things, of_pod(router), valkey, 6379)
        assert not comes_in(things, STRANGER, valkey, 6379)
        assert not goes_out(things, valkey, ELSEWHERE, 443)
        assert settings.store.url == "redis://front-valkey.spillway.svc:6379/0"
    else:
        assert goes_out(things, router, ELSEWHERE, 6380)


def test_a_route_leads_to_the_routers(name, things):
    """Over TLS, whose certificate the gateway compares with their name."""
    routes, policies = (of_kind(things, kind) for kind in ("GRPCRoute", "BackendTLSPolicy"))
    if name == "router":
        assert routes == policies == []
        return
    [route], [policy] = routes, policies
    [service] = of_kind(things, "Service")
    [rule] = route["spec"]["rules"]
    [backend] = rule["backendRefs"]
    assert backend == {
        "name": service["metadata"]["name"],
        "port": service["spec"]["ports"][0]["port"],
    }
    [target] = policy["spec"]["targetRefs"]
    assert target["name"] == service["metadata"]["name"]
    [certificate] = of_kind(things, "Certificate")
    assert policy["spec"]["validation"]["hostname"] in certificate["spec"]["dnsNames"]


@pytest.mark.parametrize(("path", "value", "message"), WRONG)
def test_a_wrong_value_is_refused_by_its_name(path, value, message):
    """By the schema, or by the chart where two values need each other."""
    with pytest.raises(RefusedError) as caught:
        render("spillway-router", with_change(path, value))
    assert message in str(caught.value).replace("'/", "/")
