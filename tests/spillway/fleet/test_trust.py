"""Between machines a fleet file has TLS with names on both sides, or says that there is none."""

import copy
import json

import pytest

from router.live.settings import SiteTls
from spillway.fleet import FleetError, read, write
from wire.tls.plaintext import ACCEPTED

OWN = {"certificate": "r.pem", "key": "r.key", "authority": "ca.pem"}
RIDGE = {"identity": "ridge.example.org"}


def text(site=None, router=None):
    """A fleet of one site that is reached with TLS, with other values for some keys."""
    keys = {"kind": "home", "endpoints": ["10.0.0.5:7070"], "tls": RIDGE} | (site or {})
    router = {"tls": OWN} | (router or {})
    fleet = {
        "sites": {"ridge": {key: value for key, value in keys.items() if value is not None}},
        "slo_classes": {"chat": {"ttft": "1s", "itl": "1s"}},
        "router": {key: value for key, value in router.items() if value is not None},
    }
    return json.dumps(copy.deepcopy(fleet), indent=1)


def refusal(*keys):
    """What is said of it, all in one."""
    with pytest.raises(FleetError) as caught:
        read(text(*keys))
    return str(caught.value)


def test_a_site_is_reached_with_tls():
    """By the name in its certificate; clients do not go there themselves."""
    file = read(text())
    access = file.access_to("ridge")
    assert access.tls == SiteTls("ridge.example.org")
    assert not access.direct
    assert read(write(file)) == file


def test_the_loopback_interface_needs_no_ceremony():
    """Neither for sites nor for what the router listens on."""
    for address in ("127.0.0.1:1", "localhost:1", "[::1]:1"):
        site = {"endpoints": [address], "tls": None}
        assert read(text(site, {"tls": None, "listen": address})).access_to("ridge").tls is None


UNPROTECTED = [
    ({"endpoints": ["10.0.0.5:1"]}, "fleet.yaml:6:5: sites.ridge.endpoints[0]: 10.0.0.5 is not"),
    ({"endpoints": ["127.0.0.1:1", "127.0.0.1.example.org:1"]}, "endpoints[1]"),
    ({"ray": {"dashboard": "http://b:8265"}}, "sites.ridge.ray: b is not this machine"),
    ({"ray": {"dashboard": "http://127.0.0.1:1", "host": "b"}}, "b is not this machine"),
    ({"door": "b:1"}, "sites.ridge.door: a door has no TLS"),
]


@pytest.mark.parametrize(("site", "message"), UNPROTECTED)
def test_plaintext_by_oversight_is_refused(site, message):
    """With the line, and with what to write; written, it is let through."""
    local = {"endpoints": ["127.0.0.1:1"], "tls": None} | site
    said = refusal(local)
    assert message in said
    assert f"or accept it with plaintext: {ACCEPTED}" in said
    assert read(text(local | {"plaintext": ACCEPTED})).access_to("ridge").plaintext == ACCEPTED


@pytest.mark.parametrize("key", ["listen", "metrics_listen", "openai_listen"])
def test_a_router_that_others_reach_has_tls(key):
    """On each of its ports."""
    local = {"endpoints": ["127.0.0.1:1"], "tls": None}
    said = refusal(local, {"tls": None, key: "0.0.0.0:7000"})
    assert f"router.{key}: others can reach it; give router.tls a certificate and a key" in said
    assert f"plaintext: {ACCEPTED} in router" in said
    assert read(text(local, {key: "0.0.0.0:7000"}))
    assert read(text(local, {"tls": None, key: "0.0.0.0:7000", "plaintext": ACCEPTED}))


def test_the_health_port_may_be_plaintext():
    """It tells one word, and a kubelet has no certificate."""
    local = {"endpoints": ["127.0.0.1:1"], "tls": None}
    read(text(local, {"health_listen": "0.0.0.0:7000"}))
    read(text(local, {"tls": None, "health_listen": "0.0.0.0:7000"}))


@pytest.mark.parametrize("words", ["yes", True, "i-accept", ACCEPTED.upper()])
def test_other_words_accept_nothing(words):
    """One has to have read them."""
    assert f"expected '{ACCEPTED}'" in refusal({"tls": None, "plaintext": words})


@pytest.mark.parametrize(
    ("site", "router", "message"),
    [
        ({"plaintext": ACCEPTED}, {}, "ridge.plaintext: there is tls; leave one of the two out"),
        ({}, {"plaintext": ACCEPTED}, "router.plaintext: there is tls; leave one"),
        ({"tls": {"identity": "*.example.org"}}, {}, "tls.identity: expected the DNS name"),
        ({"tls": {"identity": "10.0.0.5"}}, {}, "tls.identity: expected the DNS name"),
        ({"tls": {"identity": "Ridge"}}, {}, "tls.identity: expected the DNS name"),
        ({"tls": {"identity": "spiffe://a/b"}}, {}, "where a SPIFFE id cannot be"),
        ({"tls": {}}, {}, "sites.ridge.tls.identity: this key is missing"),
        ({"door": "b:1"}, {}, "endpoints with tls know their routers only"),
        ({"ray": {"dashboard": "http://b:1"}}, {}, "Ray Serve's own ports have no TLS"),
        ({}, {"tls": {"certificate": "a", "key": "b"}}, "whose certificates are believed?"),
        ({}, {"tls": {"authority": "a"}}, "the site has to know this router"),
        ({}, {"tls": OWN | {"key": None}}, "router.tls: certificate and key belong together"),
        ({}, {"tls": OWN | {"accept": ["*.a"]}}, "router.tls.accept[0]: expected a DNS name or a"),
        (
            {"tls": RIDGE | {"authority": "a"}},
            {"tls": OWN | {"authority": None, "accept": ["a"]}},
            "router.tls.accept: whose certificates are believed?",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(site, router, message):
    """With the key that is wrong."""
    assert message in refusal(site, router)
