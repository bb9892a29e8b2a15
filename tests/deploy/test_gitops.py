"""What Flux finds in the repository: objects that it knows, charts and values that are there."""

from pathlib import Path

import pytest
import yaml

from spillway.fleet import read
from tests.deploy.helm import ROOT, render
from tests.deploy.pods import of_kind, pods
from tests.deploy.schema import NEWEST, problems

GITOPS = ROOT / "deploy" / "gitops"
CLUSTERS = sorted(path.name for path in (GITOPS / "clusters").iterdir())


def built(folder):
    """The objects of a kustomization, as kustomize gathers them."""
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert kustomization.keys() <= {"apiVersion", "kind", "namespace", "resources"}
    found, listed = [], set()
    for name in kustomization["resources"]:
        path = (folder / name).resolve()
        listed.add(path)
        if path.is_dir():
            found += built(path)
        else:
            found += list(yaml.safe_load_all(path.read_text()))
    own = {path for path in folder.glob("*.yaml") if path.name != "kustomization.yaml"}
    assert own <= listed, "a file that no kustomization names is never applied"
    return found


def merged(values, more):
    """Helm's own way: mappings go together, everything else is replaced."""
    if not (isinstance(values, dict) and isinstance(more, dict)):
        return more
    return {
        key: merged(values[key], more[key])
        if key in values and key in more
        else (more[key] if key in more else values[key])
        for key in {**values, **more}
    }


def released(release):
    """What a HelmRelease makes, as Flux has Helm do it."""
    spec = release["spec"]["chart"]["spec"]
    values = {}
    for name in spec["valuesFiles"]:
        values = merged(values, yaml.safe_load((ROOT / name).read_text()))
    values = merged(values, release["spec"]["values"])
    return render(Path(spec["chart"]).name, values, release["metadata"]["name"])


@pytest.fixture(params=CLUSTERS)
def cluster(request):
    """The name of a cluster."""
    return request.param


@pytest.fixture
def things(cluster):
    """The objects that its kustomization gathers."""
    return built(GITOPS / "clusters" / cluster)


def test_flux_knows_every_field(cluster, things):
    """Of what is gathered, and of what somebody applies by hand."""
    by_hand = list(yaml.safe_load_all((GITOPS / "flux" / f"{cluster}.yaml").read_text()))
    for thing in (*things, *by_hand):
        assert problems(thing, NEWEST) == []
    names = [(one["kind"], one["metadata"]["name"]) for one in things]
    assert len(set(names)) == len(names)


def test_flux_follows_the_folder_of_its_cluster(cluster):
    """From a source that is named, in the cluster whose file this is."""
    source, kustomization = yaml.safe_load_all((GITOPS / "flux" / f"{cluster}.yaml").read_text())
    spec = kustomization["spec"]
    assert spec["sourceRef"]["name"] == source["metadata"]["name"]
    assert (ROOT / spec["path"]).resolve() == GITOPS / "clusters" / cluster


def test_every_release_has_its_chart_its_values_and_its_source(things):
    """In the folders that they name; what it depends on is there."""
    sources = {one["metadata"]["name"]: one for one in of_kind(things, "GitRepository")}
    releases = {one["metadata"]["name"]: one for one in of_kind(things, "HelmRelease")}
    assert releases
    for release in releases.values():
        chart = release["spec"]["chart"]["spec"]
        source = sources[chart["sourceRef"]["name"]]
        assert source["metadata"]["namespace"] == release["metadata"]["namespace"] == "spillway"
        assert "branch" not in source["spec"]["ref"], "a release is rolled out by its tag"
        assert (ROOT / chart["chart"] / "Chart.yaml").exists()
        assert chart["valuesFiles"][0] == f"{chart['chart']}/values.yaml"
        for one in release["spec"].get("dependsOn", ()):
            assert one["name"] in releases


def test_every_release_renders(things):
    """With images by their digests; issuers that its certificates name are there."""
    issuers = {one["metadata"]["name"] for one in of_kind(things, "Issuer")}
    for release in of_kind(things, "HelmRelease"):
        made = released(release)
        assert [line for one in made for line in problems(one, NEWEST)] == []
        for pod in pods(made):
            for container in pod.spec["containers"]:
                if "/spillway/" in container["image"]:
                    assert "@sha256:" in container["image"], container["image"]
        for certificate in of_kind(made, "Certificate"):
            assert certificate["spec"]["issuerRef"]["name"] in issuers


def test_routers_and_sites_of_all_clusters_know_each_other():
    """Each site that routers reach is a release of some cluster, of the name that they expect."""
    releases = [
        (cluster, made)
        for cluster in CLUSTERS
        for release in of_kind(built(GITOPS / "clusters" / cluster), "HelmRelease")
        for made in [released(release)]
    ]
    files = [
        (cluster, read(config["data"]["fleet.yaml"]), made)
        for cluster, made in releases
        for config in of_kind(made, "ConfigMap")
        if "fleet.yaml" in config["data"]
    ]
    gateways = [one for one in files if of_kind(one[2], "RayService")]
    [(_, routers, front)] = [one for one in files if one not in gateways]
    shown = {
        name
        for certificate in of_kind(front, "Certificate")
        for name in (*certificate["spec"]["dnsNames"], *certificate["spec"].get("uris", ()))
    }
    names = {
        name: gateway
        for gateway in gateways
        for certificate in of_kind(gateway[2], "Certificate")
        for name in certificate["spec"]["dnsNames"]
    }
    for way in routers.access:
        _, gateway, _ = names[way.tls.identity]
        assert shown & set(gateway.router.tls.accept)


def test_secrets_are_in_the_repository_only_as_sops_wrote_them():
    """Nobody can read them there."""
    for path in GITOPS.rglob("*.yaml"):
        for one in yaml.safe_load_all(path.read_text()):
            assert one["kind"] != "Secret" or "sops" in one, path
