"""What NetworkPolicies let through, by the rules of Kubernetes: nothing once one means a pod."""

from dataclasses import dataclass, field

from tests.deploy.pods import of_kind, selected


@dataclass(frozen=True)
class Peer:
    """Whoever is at one end: a pod of a namespace, or somebody outside of the cluster."""

    namespace: str | None = None
    labels: dict = field(default_factory=dict)


ELSEWHERE = Peer()
"""Outside of the cluster, at an address that nobody named."""


def of_pod(pod, namespace="spillway"):
    """A pod as a peer."""
    return Peer(namespace, pod.labels)


def comes_in(things, peer, pod, port, protocol="TCP"):
    """Whether a connection of a peer to a port of a pod is let in."""
    names = {
        one["name"]: one["containerPort"] for c in pod.spec["containers"] for one in c["ports"]
    }
    return _passes(things, "Ingress", pod, peer, port, names, protocol)


def goes_out(things, pod, peer, port, protocol="TCP"):
    """Whether a connection of a pod to a port of a peer is let out."""
    return _passes(things, "Egress", pod, peer, port, {}, protocol)


def _passes(things, direction, pod, peer, port, names, protocol):
    meant = [
        one["spec"]
        for one in of_kind(things, "NetworkPolicy")
        if direction in one["spec"]["policyTypes"]
        and selected(pod.labels, one["spec"]["podSelector"].get("matchLabels", {}))
    ]
    if not meant:
        return True
    way, side = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    return any(
        _is_port(rule.get("ports"), port, names, protocol) and _is_peer(rule.get(side), peer)
        for spec in meant
        for rule in spec.get(way, ())
    )


def _is_port(ports, port, names, protocol):
    if ports is None:
        return True
    for one in ports:
        first = names.get(one["port"], one["port"])
        if one.get("protocol", "TCP") == protocol and first <= port <= one.get("endPort", first):
            return True
    return False


def _is_peer(peers, peer):
    if peers is None:
        return True
    return any(_is_one(one, peer) for one in peers)


def _is_one(one, peer):
    if "ipBlock" in one or peer.namespace is None:
        return False  # the only address that is asked about is one that nobody named
    name = one.get("namespaceSelector", {}).get("matchLabels", {})
    if name:
        there = name["kubernetes.io/metadata.name"] == peer.namespace
    else:
        there = peer.namespace == "spillway"
    return there and selected(peer.labels, one.get("podSelector", {}).get("matchLabels", {}))
