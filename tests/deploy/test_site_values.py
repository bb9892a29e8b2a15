"""Values of a site that cannot be meant are refused, in words that name them."""

import copy

import pytest

from tests.deploy.helm import RefusedError, overlay, render
from tests.deploy.pods import of_kind, pods

WRONG = [
    ("gateway.identity", "spiffe://example.org/site/home", "/gateway/identity"),
    ("gateway.identity", "", "/gateway/identity"),
    ("gateway.accept", [], "/gateway/accept"),
    ("gateway.accept", ["not a name"], "/gateway/accept/0"),
    ("gateway.port", 70000, "/gateway/port"),
    ("gateway.drainTimeoutSeconds", "60s", "/gateway/drainTimeoutSeconds"),
    ("gateway.drainTimeoutSeconds", 60, "/gateway/drainTimeoutSeconds"),
    ("gateway.service.type", "NodePort", "/gateway/service/type"),
    ("gateway.fleet.slo_classes", {}, "/gateway/fleet/slo_classes"),
    ("image.tag", "latest", "/image/tag"),
    ("image.repository", "", "/image/repository"),
    ("image.digest", "sha256:12", "/image/digest"),
    ("image.tag", "", "image: give a digest or a tag"),
    ("model.name", "../secrets", "/model/name"),
    ("pools", {}, "/pools"),
    ("pools.h100.gpus", 8, "additional properties 'gpus' not allowed"),
    ("pools.h100.nccl", {"PATH": "/"}, "/pools/h100/nccl': additional properties 'PATH'"),
    ("pools.H100", {}, "/pools': additional properties 'H100' not allowed"),
    ("pools.h100.serving.replicas", 2, "additional properties 'replicas' not allowed"),
    ("pools.h100.nodes", {"min": 3, "max": 2}, "pools.h100.nodes: min is 3 and max is 2"),
    (
        "pools.a100.serving.vllm.tensor_parallel_size",
        8,
        "pools.a100: an engine of 16 GPUs (tensor_parallel_size times",
    ),
    ("pools.a100.replicas", 3, "pools.a100.replicas: 3 engines do not fit on 2 nodes of 1"),
    ("weights.volume.claimName", "", "weights.volume.claimName: name the PersistentVolumeClaim"),
    ("weights.source", "hub", "/weights/source"),
    ("weights.source", "store", "weights.store: path (BUCKET/PREFIX) and remote.type"),
    (
        "weights",
        {"source": "store", "store": {"path": "b/p", "remote": {"type": "s3", "secret_key": "k"}}},
        "weights.store.remote.secret_key: a secret belongs into the Secret",
    ),
    (
        "weights",
        {"source": "store", "store": {"path": "b/p", "remote": {"type": "s3"}}},
        "weights.cache.kind: an engine reads no object store; choose pod or node",
    ),
    ("leaseKeySecret.name", "", "leases: required needs leaseKeySecret.name"),
    ("gateway.certificate.issuer.name", "", "gateway.certificate: name the issuer"),
    ("gateway.certificate.secret", "tls", "secret and issuer.name exclude each other"),
    ("monitoring.identity", "", "monitoring.identity: the gateway asks Prometheus"),
    ("ray.upgrade", "Rolling", "/ray/upgrade"),
    ("ray.terminationGracePeriodSeconds", 5, "/ray/terminationGracePeriodSeconds"),
    ("secrets", {"password": "x"}, "additional properties 'secrets' not allowed"),
]


def with_change(name, path, value):
    """The values of an overlay with one of them changed."""
    values = copy.deepcopy(overlay(name))
    place, (*folders, leaf) = values, path.split(".")
    for folder in folders:
        place = place.setdefault(folder, {})
    place[leaf] = value
    return values


@pytest.mark.parametrize(("path", "value", "message"), WRONG)
def test_a_wrong_value_is_refused_by_its_name(path, value, message):
    """By the schema, or by the chart where two values need each other."""
    with pytest.raises(RefusedError) as caught:
        render("spillway-site", with_change("site-home", path, value))
    assert message in str(caught.value).replace("'/", "/")


def test_nothing_is_deployed_that_nobody_described():
    """The chart has no defaults for who the site is and what it runs."""
    with pytest.raises(RefusedError):
        render("spillway-site", {})


def test_a_long_name_is_refused():
    """KubeRay and Kubernetes add to it, and cut off what is too long."""
    with pytest.raises(RefusedError, match="has 41 characters; at most 40"):
        render("spillway-site", overlay("site-cpu"), name="a" * 41)


def test_a_digest_goes_before_a_tag():
    """What it names cannot change."""
    digest = f"sha256:{'0' * 64}"
    things = render("spillway-site", with_change("site-cpu", "image.digest", digest))
    images = {
        one["image"] for pod in pods(things) for one in pod.containers if "ray" in one["name"]
    }
    assert images == {f"registry.example.org/spillway/site-cpu@{digest}"}


def test_a_volume_is_read_where_it_lies_without_a_cache():
    """Nothing is copied, and nobody writes to it."""
    things = render("spillway-site", with_change("site-home", "weights.cache.kind", "none"))
    [service] = of_kind(things, "RayService")
    for group in service["spec"]["rayClusterConfig"]["workerGroupSpecs"]:
        spec = group["template"]["spec"]
        assert "initContainers" not in spec
        volumes = {one["name"]: one for one in spec["volumes"]}
        claim = {"claimName": "model-weights", "readOnly": True}
        assert volumes["weights"]["persistentVolumeClaim"] == claim
        [mount] = [one for one in spec["containers"][0]["volumeMounts"] if one["name"] == "weights"]
        assert (mount["mountPath"], mount["readOnly"]) == ("/models", True)


def test_the_books_of_ray_may_outlive_its_head():
    """In a store, whose password is read from a Secret and whose port is let out to."""
    values = with_change("site-home", "ray.store.address", "valkey.spillway.svc:6379")
    values["ray"]["store"]["passwordSecret"] = {"name": "valkey", "key": "password"}
    [service] = of_kind(render("spillway-site", values), "RayService")
    options = service["spec"]["rayClusterConfig"]["gcsFaultToleranceOptions"]
    assert options == {
        "redisAddress": "valkey.spillway.svc:6379",
        "redisPassword": {"valueFrom": {"secretKeyRef": {"name": "valkey", "key": "password"}}},
    }
