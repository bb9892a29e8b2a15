"""What every chart makes of every overlay: known fields alone, and pods as we hold them to."""

import pytest

from tests.deploy.helm import CASES, OVERLAYS, overlay, render
from tests.deploy.pods import of_kind, pods, selected
from tests.deploy.schema import NEWEST, OLDEST, custom_kinds, problems

CAPABILITIES = {"IPC_LOCK"}
"""That a container with a device for RDMA may have."""

VOLUMES = {"configMap", "secret", "emptyDir", "persistentVolumeClaim", "hostPath"}


@pytest.fixture(params=CASES)
def case(request):
    """The name of an overlay."""
    return request.param


@pytest.fixture
def things(case):
    """What its chart makes of it."""
    return render(CASES[case], overlay(case))


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_knows_every_field(things, version):
    """Of its own kinds, and of those of KubeRay, cert-manager and the rest."""
    assert [line for thing in things for line in problems(thing, version)] == []


def test_a_field_that_nobody_knows_is_found(things):
    """In each kind, deep inside a pod of KubeRay's too: the schemas are strict."""
    for thing in things:
        wrong = {**thing, "spec": {**thing.get("spec", {}), "replica": 1}}
        assert problems(wrong, NEWEST), thing["kind"]
    assert "RayService" in custom_kinds()
    for service in of_kind(things, "RayService"):
        pod = service["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["template"]["spec"]
        pod["containers"][0]["imagePolicy"] = "Never"
        [line] = problems(service, NEWEST)
        assert "imagePolicy" in line


def test_every_overlay_is_tried():
    """None lies there untested."""
    assert {path.stem for path in OVERLAYS.glob("*.yaml")} == CASES.keys()


def test_no_two_objects_have_one_name(things):
    """The second would replace the first."""
    names = [(thing["kind"], thing["metadata"]["name"]) for thing in things]
    assert len(set(names)) == len(names)
    assert {thing["metadata"]["namespace"] for thing in things} == {"spillway"}


def test_no_pod_is_more_than_it_has_to_be(things):
    """Not root, nothing of the host's, no privileges, a root folder that cannot be written."""
    for pod in pods(things):
        security = pod.spec["securityContext"]
        assert security["runAsNonRoot"] is True, pod.owner
        assert security["runAsUser"] > 0, pod.owner
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, pod.owner
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.spec.keys(), pod.owner
        for container in pod.containers:
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, pod.owner
            assert own["readOnlyRootFilesystem"] is True, pod.owner
            assert own["runAsNonRoot"] is True, pod.owner
            assert not own.get("privileged"), pod.owner
            assert own["capabilities"]["drop"] == ["ALL"], pod.owner
            added = set(own["capabilities"].get("add", ()))
            assert added <= CAPABILITIES, pod.owner
            devices = {name for name in container["resources"]["limits"] if "/" in name}
            assert not added or devices - {"nvidia.com/gpu"}, pod.owner
            assert not any("hostPort" in port for port in container.get("ports", ())), pod.owner


def test_every_container_says_what_it_takes(things):
    """And takes no more: what is given is what is asked for."""
    for pod in pods(things):
        for container in pod.containers:
            resources = container["resources"]
            assert {"cpu", "memory"} <= resources["requests"].keys(), pod.owner
            assert resources["limits"] == resources["requests"], pod.owner


def test_every_container_that_stays_is_asked_how_it_is(things):
    """At its start, whether it is ready and whether it lives, at a port that it names."""
    for pod in pods(things):
        for container in pod.spec["containers"]:
            ports = {port["name"] for port in container["ports"]}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                way = container[probe].get("httpGet") or container[probe]["tcpSocket"]
                known = isinstance(way["port"], int) or way["port"] in ports
                assert known, f"{pod.owner}: {probe} asks {way['port']}"


def test_every_image_is_pinned(things):
    """By a digest or a version, never by what is latest."""
    for pod in pods(things):
        for container in pod.containers:
            image = container["image"]
            name, _, version = image.partition("@" if "@" in image else ":")
            assert name, image
            assert version, image
            assert version != "latest", image


def test_no_pod_has_a_token_that_it_does_not_use(things):
    """Each has an account of its own; only Ray's autoscaler talks to the Kubernetes API."""
    accounts = {one["metadata"]["name"]: one for one in of_kind(things, "ServiceAccount")}
    scales = any(
        service["spec"]["rayClusterConfig"]["enableInTreeAutoscaling"]
        for service in of_kind(things, "RayService")
    )
    assert all(one["automountServiceAccountToken"] is False for one in accounts.values())
    for pod in pods(things):
        assert pod.spec["serviceAccountName"] in accounts, pod.owner
        needs = scales and pod.owner.endswith(" head")
        assert pod.spec["automountServiceAccountToken"] is needs, pod.owner


def test_every_volume_is_there_and_every_mount_has_one(case, things):
    """Of what the chart makes, or of what the values name."""
    made = {
        "configMap": {one["metadata"]["name"] for one in of_kind(things, "ConfigMap")},
        "secret": {one["spec"]["secretName"] for one in of_kind(things, "Certificate")},
        "persistentVolumeClaim": set(),
    }
    named = set(_texts(overlay(case)))
    for pod in pods(things):
        volumes = {volume["name"]: volume for volume in pod.spec["volumes"]}
        assert len(volumes) == len(pod.spec["volumes"]), pod.owner
        for volume in volumes.values():
            [kind] = volume.keys() - {"name"}
            assert kind in VOLUMES, pod.owner
            source = volume[kind]
            if kind in made:
                name = source.get("name") or source.get("secretName") or source["claimName"]
                assert name in made[kind] | named, f"{pod.owner}: {kind} {name}"
            if kind == "hostPath":
                assert source["path"] in named, pod.owner
        for container in pod.containers:
            mounts = container["volumeMounts"]
            assert {mount["name"] for mount in mounts} <= {*volumes, *pod.claims}, pod.owner
            paths = [mount["mountPath"] for mount in mounts]
            assert len(set(paths)) == len(paths), pod.owner
        used = {mount["name"] for one in pod.containers for mount in one["volumeMounts"]}
        assert used == {*volumes, *pod.claims}, pod.owner


def test_secrets_are_named_and_never_written(things):
    """They are made beside the chart, by whoever may know them."""
    assert of_kind(things, "Secret") == []
    for pod in pods(things):
        for container in pod.containers:
            for one in container.get("env", ()):
                secret = any(
                    word in one["name"].lower() for word in ("password", "secret", "token")
                )
                assert not (secret and "value" in one), one["name"]


def test_every_selector_means_a_pod(things):
    """Of services, budgets, network policies, monitors, and of what makes pods."""
    every = pods(things)
    for thing in things:
        kind, spec = thing["kind"], thing.get("spec", {})
        if kind == "Service":
            wanted = spec["selector"]
        elif kind == "NetworkPolicy":
            wanted = spec["podSelector"]["matchLabels"]
        elif kind in {"PodDisruptionBudget", "PodMonitor", "Deployment", "StatefulSet"}:
            wanted = spec["selector"]["matchLabels"]
        else:
            continue
        meant = [pod for pod in every if selected(pod.labels, wanted)]
        assert meant, f"{kind} {thing['metadata']['name']}"
        if kind in {"Service", "Deployment", "PodDisruptionBudget"}:
            assert len(meant) == 1, f"{kind} {thing['metadata']['name']} means several"
        names = {p["name"] for pod in meant for c in pod.spec["containers"] for p in c["ports"]}
        asked = {port["targetPort"] for port in spec.get("ports", ())}
        asked |= {way["port"] for way in spec.get("podMetricsEndpoints", ())}
        assert asked <= names, f"{kind} {thing['metadata']['name']}"


def test_every_pod_that_answers_has_a_budget(things):
    """An operator who drains a node takes one at a time; a head and a store have no second."""
    budgets = [
        one["spec"]["selector"]["matchLabels"] for one in of_kind(things, "PodDisruptionBudget")
    ]
    for pod in pods(things):
        if not pod.owner.endswith((" head", "-valkey")):
            assert any(selected(pod.labels, one) for one in budgets), pod.owner


def test_a_pod_gets_to_drain(things):
    """The grace is longer than the sleep before and the drain after."""
    for pod in pods(things):
        for container in pod.spec["containers"]:
            sleep_s = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {})
            if sleep_s:
                grace_s = pod.spec["terminationGracePeriodSeconds"]
                assert grace_s > sleep_s["seconds"], pod.owner


def _texts(values):
    if isinstance(values, dict):
        values = values.values()
    if isinstance(values, str):
        yield values
    elif not isinstance(values, (int, float, bool)) and values is not None:
        for one in values:
            yield from _texts(one)
