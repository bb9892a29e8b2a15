"""A site's chart says what our own code, Ray's and vLLM's take: what drifts from it fails here."""

import ast
import importlib.util
import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import yaml

from serving.placement import GRACEFUL_SHUTDOWN_S, deployment_options
from serving.serve_environment import CLUSTER_ENVIRONMENT, GRPC_SERVICES
from serving.settings import read_settings
from spillway.fleet import read
from spillway.site_application import IMPORT_PATH, plain_arguments
from tests.deploy.helm import ROOT, overlay, render
from tests.deploy.pods import of_kind, pods
from tests.deploy.ray_side import ServeDeploySchema
from tests.deploy.ray_side import constants as serve_constants
from tests.deploy.ray_side import start as ray_start
from wire.tls.identity import is_dns_name, is_identity

SITES = ["site-home", "site-rented", "site-cpu"]
UNITS = {"": 1, "m": 0.001, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}


@pytest.fixture(params=SITES)
def name(request):
    """Of an overlay."""
    return request.param


@pytest.fixture
def things(name):
    """What the chart makes of it."""
    return render("spillway-site", overlay(name))


@pytest.fixture
def cluster(things):
    """The Ray cluster of the site."""
    [service] = of_kind(things, "RayService")
    return service["spec"]


@pytest.fixture
def applications(cluster):
    """The Serve applications, by name."""
    config = yaml.safe_load(cluster["serveConfigV2"])
    return {one["name"]: one for one in config["applications"]}


@pytest.fixture
def fleet(things):
    """The gateway's fleet file, as the gateway reads it."""
    [config] = of_kind(things, "ConfigMap")
    return read(config["data"]["fleet.yaml"])


def groups(cluster):
    """The worker groups by name."""
    return {one["groupName"]: one for one in cluster["rayClusterConfig"]["workerGroupSpecs"]}


def amount(quantity):
    """A quantity of Kubernetes as a number."""
    number, unit = re.fullmatch(r"([0-9.]+)(\w*)", str(quantity)).groups()
    return float(number) * UNITS[unit]


def test_ray_takes_the_serve_config(cluster):
    """As `serve deploy` does, with direct ingress and our gRPC services."""
    config = yaml.safe_load(cluster["serveConfigV2"])
    read_config = ServeDeploySchema.model_validate(config)
    assert config["proxy_location"] == "Disabled"
    assert read_config.grpc_options.grpc_servicer_functions == [GRPC_SERVICES]
    assert {one.import_path for one in read_config.applications} == {IMPORT_PATH}
    for application in read_config.applications:
        assert application.external_scaler_enabled is ("autoscale" not in application.args)


def test_the_engines_take_their_arguments(applications, name):
    """As `spillway site up` would send them: none is changed on the way."""
    for application in applications.values():
        assert plain_arguments(application["args"]) == application["args"]
        settings = read_settings(application["args"])
        assert settings.names[0] == overlay(name)["model"]["name"]


def vllm_arguments():
    """The names of vLLM's arguments, read and not imported."""
    [folder] = importlib.util.find_spec("vllm").submodule_search_locations
    tree = ast.parse((Path(folder) / "engine" / "arg_utils.py").read_text())
    known = {
        field.target.id
        for one in ast.walk(tree)
        if isinstance(one, ast.ClassDef) and one.name in {"EngineArgs", "AsyncEngineArgs"}
        for field in one.body
        if isinstance(field, ast.AnnAssign)
    }
    assert "max_num_seqs" in known
    return known


def test_vllm_knows_every_argument(applications):
    """What we pass on unread is read there."""
    known = vllm_arguments()
    for application in applications.values():
        given = read_settings(application["args"]).vllm.arguments
        assert given.keys() <= known


def test_engines_fit_where_they_are_placed(cluster, applications):
    """By the placement that our own code asks of Ray: on one node, of their own pool."""
    for pool, group in groups(cluster).items():
        settings = read_settings(applications[pool]["args"])
        [container] = group["template"]["spec"]["containers"]
        limits = container["resources"]["limits"]
        gpus = int(limits.get("nvidia.com/gpu", 0))
        options = deployment_options(settings, cluster_gpus=gpus)
        asked = options["ray_actor_options"]
        [bundle] = options.get("placement_group_bundles") or [
            {"CPU": asked["num_cpus"], "GPU": asked["num_gpus"], **asked["resources"]}
        ]
        parameters = group["rayStartParams"]
        places = json.loads(shlex.split(parameters["resources"])[0])
        offered = {"CPU": amount(limits["cpu"]), "GPU": gpus, **places}
        room = min(int(offered[key] // value) for key, value in bundle.items() if value)
        assert room >= 1, pool
        assert settings.replicas <= room * group["maxReplicas"], pool
        assert bundle.get("GPU", 0) == (settings.vllm.world_size if gpus else 0)
        others = {key for other in groups(cluster) if other != pool for key in [f"pool-{other}"]}
        assert not others & places.keys()
        assert int(parameters.get("num-gpus", 0)) == gpus


def test_ray_takes_the_parameters_of_its_start(cluster):
    """As its own command line reads them, after KubeRay's shell."""
    config = cluster["rayClusterConfig"]
    for group in (config["headGroupSpec"], *config["workerGroupSpecs"]):
        line = " ".join(f"--{key}={value}" for key, value in group["rayStartParams"].items())
        context = ray_start.make_context("start", shlex.split(line))
        if "resources" in group["rayStartParams"]:
            assert json.loads(context.params["resources"])
        shared = {
            one["name"]: one["emptyDir"].get("sizeLimit")
            for one in group["template"]["spec"]["volumes"]
            if "emptyDir" in one
        }["shared-memory"]
        assert context.params["object_store_memory"] <= amount(shared)


def test_every_node_of_ray_has_the_environment_that_engines_need(cluster):
    """Serve reads it when it starts, on whichever node that is."""
    config = cluster["rayClusterConfig"]
    for group in (config["headGroupSpec"], *config["workerGroupSpecs"]):
        [container] = group["template"]["spec"]["containers"]
        environment = {one["name"]: one["value"] for one in container["env"]}
        assert CLUSTER_ENVIRONMENT.items() <= environment.items()
        assert len(environment) == len(container["env"])


def test_kuberays_services_find_its_pods(cluster):
    """They select by labels of KubeRay's own, which a template could overwrite."""
    own = {"app.kubernetes.io/name", "app.kubernetes.io/created-by"}
    config = cluster["rayClusterConfig"]
    for group in (config["headGroupSpec"], *config["workerGroupSpecs"]):
        labels = group["template"]["metadata"]["labels"].keys()
        assert not labels & own
        assert not any(label.startswith("ray.io/") for label in labels)


def test_the_ports_of_replicas_are_those_that_ray_gives(things):
    """The policies let the gateway to no others."""
    ranges = {
        (port["port"], port["endPort"])
        for policy in of_kind(things, "NetworkPolicy")
        for way in ("ingress", "egress")
        for rule in policy["spec"].get(way, ())
        for port in rule.get("ports", ())
        if "endPort" in port
    }
    assert ranges == {
        (
            serve_constants.RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT,
            serve_constants.RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT,
        )
    }


def test_the_cluster_runs_the_ray_that_we_install(cluster):
    """KubeRay asks for the version, and the image has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (
        f"ray[serve]=={cluster['rayClusterConfig']['rayVersion']}"
        in (project["optional-dependencies"]["serving"])
    )


def test_the_gateway_finds_each_pool(fleet, applications, cluster, things):
    """By the dashboard of KubeRay's Service of the head, an application a pool."""
    [service] = of_kind(things, "RayService")
    dashboard = f"http://{service['metadata']['name']}-head-svc.spillway.svc:8265"
    assert {one.site for one in fleet.access} == applications.keys() == groups(cluster).keys()
    for way in fleet.access:
        assert (way.dashboard_url, way.application) == (dashboard, way.site)
        assert fleet.deployment(way.site).replicas == applications[way.site]["args"]["replicas"]


def test_the_gateway_is_who_the_site_says(fleet, things, name):
    """Its certificate has a DNS name, which routers compare; it accepts those that are named."""
    values = overlay(name)["gateway"]
    assert is_dns_name(values["identity"])
    assert set(values["accept"]) <= set(fleet.router.tls.accept)
    assert all(map(is_identity, fleet.router.tls.accept))
    for certificate in of_kind(things, "Certificate"):
        assert certificate["spec"]["privateKey"]["rotationPolicy"] == "Always"
        if certificate["metadata"]["name"].endswith("-gateway"):
            assert certificate["spec"]["dnsNames"] == [values["identity"]]


def test_every_file_that_the_gateway_reads_is_mounted(fleet, things):
    """Certificates, keys of leases, the fleet file itself."""
    [pod] = [pod for pod in pods(things) if pod.owner.startswith("Deployment")]
    [container] = pod.containers
    keys = {volume["name"]: _keys(volume, things) for volume in pod.spec["volumes"]}
    there = {
        f"{mount['mountPath']}/{key}"
        for mount in container["volumeMounts"]
        for key in keys[mount["name"]]
    }
    router = fleet.router
    files = {router.tls.certificate, router.tls.key, router.tls.authority, router.lease_key_file}
    assert {str(file) for file in files if file} <= there
    assert container["args"][1] in there


def _keys(volume, things):
    if "items" in volume.get("configMap", ()):
        return {one["path"] for one in volume["configMap"]["items"]}
    if "configMap" in volume:
        [config] = [
            one
            for one in of_kind(things, "ConfigMap")
            if one["metadata"]["name"] == volume["configMap"]["name"]
        ]
        return set(config["data"])
    if "secret" in volume:
        items = volume["secret"].get("items")
        return {one["path"] for one in items} if items else {"tls.crt", "tls.key", "ca.crt"}
    return set()


def test_the_gateway_drains_before_it_is_killed(fleet, things):
    """The grace holds the pause in which load balancers hear of it, and the drain."""
    [pod] = [pod for pod in pods(things) if pod.owner.startswith("Deployment")]
    [container] = pod.containers
    pause_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    grace_s = pod.spec["terminationGracePeriodSeconds"]
    assert pause_s > 0
    assert grace_s >= pause_s + fleet.router.drain_timeout_s + 10


def test_streams_move_away_from_an_engine_before_serve_ends_them(fleet):
    """A quarter of them at a time, which takes a few seconds."""
    assert fleet.router.drain_timeout_s + 10 <= GRACEFUL_SHUTDOWN_S


def test_engines_load_what_the_pod_has(cluster, applications, name):
    """The model's folder lies in a mount, which is filled before the engine starts."""
    weights = overlay(name)["weights"]
    for pool, group in groups(cluster).items():
        model = applications[pool]["args"]["model"]
        spec = group["template"]["spec"]
        [container] = spec["containers"]
        mounts = {one["mountPath"]: one for one in container["volumeMounts"]}
        if weights["source"] == "built-in":
            assert model == "built-in"
            assert "/models" not in mounts
            continue
        assert Path(model).parent == Path("/models")
        assert mounts["/models"]["readOnly"] is True
        [filler] = spec["initContainers"]
        assert filler["args"][-1] == model
        filled = {one["mountPath"]: one for one in filler["volumeMounts"]}["/models"]
        assert filled["name"] == mounts["/models"]["name"]
        assert not filled.get("readOnly")


def test_leases_have_their_keys(cluster, applications, name):
    """Where engines ask for them, they and the gateway read the same Secret."""
    secret = overlay(name).get("leaseKeySecret", {}).get("name")
    for pool, group in groups(cluster).items():
        settings = read_settings(applications[pool]["args"])
        volumes = {one["name"]: one for one in group["template"]["spec"]["volumes"]}
        assert (settings.lease_key_file is not None) is bool(secret)
        if secret:
            assert volumes["leases"]["secret"]["secretName"] == secret
            [container] = group["template"]["spec"]["containers"]
            paths = {one["mountPath"] for one in container["volumeMounts"]}
            assert str(settings.lease_key_file.parent) in paths
