"""Pools of a site that scale by themselves, lend and take back: our own code takes what is made."""

import pytest
import yaml

from router.policy.units import NS_PER_S
from serving.placement import deployment_options
from serving.settings import read_settings
from spillway.fleet import read
from tests.deploy.helm import RefusedError, overlay, render
from tests.deploy.pods import of_kind, pods
from tests.deploy.ray_side import ServeDeploySchema
from tests.deploy.test_site_values import with_change

SCALE = {"min": 1, "max": 2, "start": "8min", "spare": "15min"}
LEND = [{"replicas": 1, "from": "22:00", "until": "06:00", "days": ["mon", "fri"]}]
RECLAIM = {"grace": "5min", "worth_hourly": "2.50 USD/h"}


def values_with(**keys):
    """The home site's values, with these keys at its A100 pool instead of its own."""
    values = overlay("site-home")
    values["pools"]["a100"] |= keys
    return values


@pytest.fixture
def things():
    """A site with a pool that does all of it and one that does nothing."""
    return render("spillway-site", values_with(scale=SCALE, lend=LEND, reclaim=RECLAIM))


@pytest.fixture
def applications(things):
    [service] = of_kind(things, "RayService")
    config = yaml.safe_load(service["spec"]["serveConfigV2"])
    ServeDeploySchema.model_validate(config)
    return {one["name"]: one for one in config["applications"]}


@pytest.fixture
def fleet(things):
    [config] = of_kind(things, "ConfigMap")
    return read(config["data"]["fleet.yaml"])


def test_the_gateway_has_the_pool_s_bounds_and_its_schedule(fleet):
    """As a fleet file says them; a pool that says nothing stays as it is."""
    site = fleet.fleet.site("a100")
    assert (site.scale.replicas_min, site.scale.replicas_max) == (1, 2)
    assert (site.scale.start_ns, site.scale.spare_ns) == (480 * NS_PER_S, 900 * NS_PER_S)
    assert [(window.replicas, window.days) for window in site.lending.windows] == [
        (1, ("mon", "fri"))
    ]
    assert (site.reclaim.grace_ns, site.reclaim.worth_usd_per_hour) == (300 * NS_PER_S, 2.5)
    other = fleet.fleet.site("h100")
    assert (other.scale, other.lending) == (None, None)


def test_serve_scales_the_pool_and_nothing_else_does(applications):
    """By Serve's own autoscaler, which asks each gateway."""
    scaled, still = applications["a100"], applications["h100"]
    assert (scaled["external_scaler_enabled"], still["external_scaler_enabled"]) == (False, True)
    settings = read_settings(scaled["args"])
    options = deployment_options(settings, cluster_gpus=8)["autoscaling_config"]
    assert (options["min_replicas"], options["max_replicas"]) == (1, 2)
    asked = options["policy"]["policy_kwargs"]
    assert asked["site"] == "a100"
    assert asked["routers"] == ["site-gateway-pods.spillway.svc:7070"]
    assert asked["each_address"]
    assert asked["tls"]["identity"] == overlay("site-home")["gateway"]["identity"]
    assert "autoscale" not in still["args"]


def test_the_autoscaler_is_somebody_who_may_look_and_not_act(things, fleet, applications):
    """Its certificate is issued, mounted where Serve's controller runs, and accepted."""
    tls = fleet.router.tls
    [name] = {*tls.accept} - {*tls.operators} - {"prometheus.example.org"}
    [certificate] = [
        one for one in of_kind(things, "Certificate") if one["spec"]["dnsNames"] == [name]
    ]
    [service] = of_kind(things, "RayService")
    head = service["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]
    [container] = head["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    secrets = {
        one["name"]: one["secret"]["secretName"] for one in head["volumes"] if "secret" in one
    }
    assert secrets == {"autoscaler": certificate["spec"]["secretName"]}
    asked = applications["a100"]["args"]["autoscale"]
    for key in ("authority", "certificate", "key"):
        assert asked[key].startswith(f"{mounts['autoscaler']}/")


def test_it_reaches_the_gateways_and_they_let_it(things):
    """From Ray's pods to the gateway's one port, both ways of the policies."""
    policies = {one["metadata"]["name"]: one["spec"] for one in of_kind(things, "NetworkPolicy")}
    ray = {"podSelector": {"matchLabels": {"spillway/ray": "site"}}}
    [comes] = [r for r in policies["site-gateway"]["ingress"] if r.get("from") == [ray]]
    assert [port["port"] for port in comes["ports"]] == ["grpc"]
    goes = [port["port"] for r in policies["site-ray"]["egress"] for port in r.get("ports", ())]
    assert 7070 in goes
    [each] = [one for one in of_kind(things, "Service") if one["spec"].get("clusterIP") == "None"]
    assert each["metadata"]["name"] == "site-gateway-pods"
    [gateway] = [pod for pod in pods(things) if pod.owner.startswith("Deployment")]
    assert each["spec"]["selector"].items() <= gateway.labels.items()


def test_a_site_that_does_not_scale_has_none_of_it():
    """No certificate, no mount, no way from engines to the gateway."""
    text = yaml.safe_dump_all(render("spillway-site", overlay("site-rented")))
    assert "autoscaler-tls" not in text
    assert "autoscale:" not in text
    assert "gateway-pods" not in text


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("pools.a100.scale", {"min": 1}, "missing property 'max'"),
        ("pools.a100.scale", {"min": 1, "max": 0}, "/pools/a100/scale"),
        ("pools.a100.scale", {"min": 2, "max": 1}, "pools.a100.scale: min is 2 and max is 1"),
        ("pools.a100.scale", {"min": 1, "max": 3}, "scale.max: 3 engines do not fit on 2 nodes"),
        ("pools.a100.scale", {"min": 1, "max": 1}, "replicas: 2 at first is not within scale"),
        ("pools.a100.scale", {"min": 1, "max": 2, "start": "soon"}, "/pools/a100/scale"),
        ("pools.a100.lend", [{"replicas": 1}], "/pools/a100/lend/0"),
        ("pools.a100.lend", [LEND[0] | {"from": "25:00"}], "/pools/a100/lend/0/from"),
        ("pools.a100.lend", [LEND[0] | {"replicas": 3}], "lend: 3 replicas of 2 cannot be lent"),
        ("pools.a100.reclaim", {"worth_hourly": 2.5}, "/pools/a100/reclaim/worth_hourly"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_name(path, value, message):
    with pytest.raises(RefusedError) as caught:
        render("spillway-site", with_change("site-home", path, value))
    assert message in str(caught.value).replace("'/", "/")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"certificate": {"secret": "tls"}}, "autoscaler comes from gateway.certificate.issuer"),
    ],
)
def test_what_scaling_needs_is_said(change, message):
    values = values_with(scale=SCALE)
    values["monitoring"]["enabled"] = False
    values["gateway"] |= change
    with pytest.raises(RefusedError) as caught:
        render("spillway-site", values)
    assert message in str(caught.value)
