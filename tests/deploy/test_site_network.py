"""Who reaches what of a site: its gateway, and nothing else."""

import copy

import pytest

from tests.deploy.helm import overlay, render
from tests.deploy.network import ELSEWHERE, Peer, comes_in, goes_out, of_pod
from tests.deploy.pods import of_kind, pods, selected

SITES = ["site-home", "site-rented", "site-cpu"]
GATEWAY_PORT, METRICS_PORT, DASHBOARD_PORT = 7070, 7071, 8265
PRIVATE = [6379, DASHBOARD_PORT, 8000, 8080, 9000, 10001, 40000, 41000, 52365]
"""Ray's: its books, its dashboard, its proxies, its metrics, its clients, replicas, its agents."""

STRANGER = Peer("somewhere", {"app": "stranger"})
OPERATOR = Peer("kuberay-operator", {"app.kubernetes.io/name": "kuberay-operator"})
MONITOR = Peer("monitoring", {"app.kubernetes.io/name": "prometheus"})
NAMES = Peer("kube-system", {"k8s-app": "kube-dns"})
API = Peer("default")
NEIGHBOUR = Peer("spillway", {"app": "neighbour"})


@pytest.fixture(params=SITES)
def things(request):
    """What a site is made of."""
    return render("spillway-site", overlay(request.param))


@pytest.fixture
def gateway(things):
    """The pod of the gateway."""
    [found] = [pod for pod in pods(things) if pod.owner.startswith("Deployment")]
    return found


@pytest.fixture
def engines(things):
    """The pods of Ray."""
    return [pod for pod in pods(things) if pod.owner.startswith("RayService")]


def test_every_pod_is_shut_before_a_door_is_opened(things, gateway, engines):
    """By one policy that means them all and lets nobody through."""
    [deny] = [
        one["spec"]
        for one in of_kind(things, "NetworkPolicy")
        if not {"ingress", "egress"} & one["spec"].keys()
    ]
    assert set(deny["policyTypes"]) == {"Ingress", "Egress"}
    for pod in (gateway, *engines):
        assert selected(pod.labels, deny["podSelector"]["matchLabels"]), pod.owner


def test_only_the_gateway_is_reached(things, gateway, engines):
    """By those who are named where some are; Ray's ports by nobody, wherever they come from."""
    outside = [ELSEWHERE, STRANGER, NEIGHBOUR, NAMES, API]
    for peer in outside:
        for pod in engines:
            for port in PRIVATE:
                assert not comes_in(things, peer, pod, port), f"{pod.owner} {port}"
        for port in (METRICS_PORT, 7072, 22, 8265):
            assert not comes_in(things, peer, gateway, port), port


def test_the_gateway_is_reached_by_whom_the_site_names(gateway):
    """Which is everybody who finds a way to it where nobody is named: it asks for a certificate."""
    values = overlay("site-home")
    router = Peer("spillway", {"app.kubernetes.io/name": "spillway-router"})
    home = render("spillway-site", values)
    assert comes_in(home, router, gateway, GATEWAY_PORT)
    assert not comes_in(home, STRANGER, gateway, GATEWAY_PORT)
    open_to_all = copy.deepcopy(values)
    open_to_all["networkPolicy"]["clients"] = []
    assert comes_in(render("spillway-site", open_to_all), STRANGER, gateway, GATEWAY_PORT)


def test_one_service_is_made_and_it_has_one_port(things):
    """KubeRay makes others, of the cluster alone, which the policies close.

    What is but a name for each of the gateway's pods is no way in.
    """
    made = of_kind(things, "Service")
    [service] = [one for one in made if one["spec"].get("clusterIP") != "None"]
    assert [port["port"] for port in service["spec"]["ports"]] == [GATEWAY_PORT]
    assert of_kind(things, "Ingress") == []
    [cluster] = of_kind(things, "RayService")
    head = cluster["spec"]["rayClusterConfig"]["headGroupSpec"]
    assert head["serviceType"] == "ClusterIP"
    assert not head.get("enableIngress")


def test_the_gateway_reaches_dashboard_and_replicas(things, gateway, engines):
    """Both ways are open, and it goes nowhere else but to ask for names."""
    head, *workers = engines
    assert comes_in(things, of_pod(gateway), head, DASHBOARD_PORT)
    assert goes_out(things, gateway, of_pod(head), DASHBOARD_PORT)
    for worker in workers:
        for port in (40000, 41000):
            assert comes_in(things, of_pod(gateway), worker, port)
            assert goes_out(things, gateway, of_pod(worker), port)
    assert not comes_in(things, of_pod(gateway), head, 6379)
    assert goes_out(things, gateway, NAMES, 53, "UDP")
    assert not goes_out(things, gateway, ELSEWHERE, 443)
    assert not goes_out(things, gateway, STRANGER, GATEWAY_PORT)


def test_a_ray_cluster_is_one_machine_to_itself(things, engines):
    """Ray's nodes choose their ports."""
    for one in engines:
        for other in engines:
            for port in (6379, 10002, 50000):
                assert goes_out(things, one, of_pod(other), port)
                assert comes_in(things, of_pod(one), other, port)


def test_the_operator_deploys_through_the_dashboard(things, engines):
    """Without it no engine starts; more it does not need."""
    head = engines[0]
    assert comes_in(things, OPERATOR, head, DASHBOARD_PORT)
    assert not comes_in(things, OPERATOR, head, 6379)


def test_prometheus_comes_where_it_is_asked_to(gateway, engines):
    """And only there, and only then."""
    with_it, without = (
        render("spillway-site", overlay(name)) for name in ("site-home", "site-cpu")
    )
    for pod, port in ((gateway, METRICS_PORT), (engines[0], 8080)):
        assert comes_in(with_it, MONITOR, pod, port)
        assert not comes_in(without, MONITOR, pod, port)
    assert not comes_in(with_it, MONITOR, gateway, GATEWAY_PORT)


def test_engines_go_out_for_weights_and_for_pods_alone():
    """To an object store, and to the Kubernetes API where Ray's autoscaler asks it for pods."""
    home, rented = (render("spillway-site", overlay(name)) for name in ("site-home", "site-rented"))
    assert not any(goes_out(home, pod, ELSEWHERE, 443) for pod in pods(home))
    head, *workers = [pod for pod in pods(rented) if pod.owner.startswith("RayService")]
    assert goes_out(rented, workers[0], ELSEWHERE, 443)
    assert goes_out(rented, head, API, 6443)
    assert not goes_out(rented, workers[0], ELSEWHERE, 80)
