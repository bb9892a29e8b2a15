"""The fleet page and who may make it act: other origins, other hosts, forms, frames and scripts."""

import base64
import contextlib
import http.client
import json
import ssl

import pytest

from tests.attack.programs import Program
from tests.attack.scene import KEYS, fleet_file
from tests.trust.test_http import free_port

DRAIN = json.dumps({"action": "drain", "site": "home"})


def basic(key):
    """How a browser shows a key."""
    return {"Authorization": "Basic " + base64.b64encode(f"x:{key}".encode()).decode()}


def answered(scene, method, path, headers, body=None):
    """The status, headers and body of the page's answer."""
    context = ssl.create_default_context(cafile=scene.pki.certificate)
    connection = http.client.HTTPSConnection(scene.page, context=context, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read(4_096)


def test_the_page_is_for_operators(scene):
    """Nobody, a tenant, or a key in the wrong place sees none of it."""
    for path in ("/", "/page/stream"):
        for headers, status in (
            ({}, 401),
            (basic("nobody"), 401),
            (basic(KEYS["acme"]), 403),
            ({"Authorization": "Basic ///"}, 401),
            ({"Authorization": "Basic " + "A" * 4_000}, 401),
            ({"Authorization": f"Bearer {KEYS['ops']}"}, 401),
            ({"Cookie": f"key={KEYS['ops']}"}, 401),
        ):
            found, _, body = answered(scene, "GET", path, headers)
            assert found == status, (path, headers)
            assert b"home" not in body


def test_no_script_or_frame_of_others_is_let_in(scene):
    """By the headers of each answer, errors included."""
    for path, key in (("/", "ops"), ("/page/absent.js", "ops"), ("/", "acme"), ("/absent", "ops")):
        _, headers, _ = answered(scene, "GET", path, basic(KEYS[key]))
        policy = headers.get("Content-Security-Policy", "")
        for part in (
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "form-action 'none'",
            "base-uri 'none'",
        ):
            assert part in policy, (path, key)
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in headers


@pytest.fixture(scope="module")
def token(scene):
    """What only a page of this origin could have read."""
    context = ssl.create_default_context(cafile=scene.pki.certificate)
    connection = http.client.HTTPSConnection(scene.page, context=context, timeout=30)
    with contextlib.closing(connection):
        connection.request("GET", "/page/stream", headers=basic(KEYS["ops"]))
        line = connection.getresponse().readline()
        while not line.startswith(b"data:"):
            line = connection.sock.makefile("rb").readline()
    return json.loads(line[5:])["token"]


def test_no_page_but_its_own_acts(scene):
    """With the browser's own key, from every origin that is not this one, and without the token."""
    own = f"https://{scene.page}"
    for headers in (
        {},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": f"http://{scene.page}.evil.example"},
        {"Origin": f"https://{scene.page}@evil.example"},
        {"Origin": own.replace("127.0.0.1", "localhost")},
        {"Origin": own, "X-Spillway-Token": ""},
        {"Origin": own, "X-Spillway-Token": "x" * 43},
        {"Origin": own, "X-Spillway-Token": "é"},
        {"Referer": f"{own}/"},
    ):
        for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
            told = {**basic(KEYS["ops"]), "Content-Type": kind, **headers}
            told = {name: value.encode("latin-1") for name, value in told.items()}
            status, _, _ = answered(scene, "POST", "/page/act", told, DRAIN)
            assert status == 403, headers
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "HEAD"):
        told = {**basic(KEYS["ops"]), "Origin": own}
        status, headers, _ = answered(scene, method, "/page/act", told, DRAIN)
        assert status in {403, 404, 405}
        assert "Access-Control-Allow-Origin" not in headers
    assert not any(site.draining for site in scene.state().sites)


@pytest.fixture(scope="module")
def local(scene, tmp_path_factory):
    """Where a router listens for HTTP that wants no keys, as on somebody's own machine."""
    folder = tmp_path_factory.mktemp("local")
    home = {"kind": "home", "endpoints": [f"127.0.0.1:{free_port()}"]}
    router = Program(folder, "router", "spillway", "route", fleet_file(folder, {"home": home}))
    try:
        yield router.address("Metrics at"), router.address("OpenAI's API at")
    finally:
        router.end()


def asked_as(address, host, path, method="GET", body=None, **headers):
    """The status of what a browser gets that believes this to be the server of another name."""
    connection = http.client.HTTPConnection(address, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, body, {"Host": host, **headers})
        response = connection.getresponse()
        return response.status, response.read(4_096)


def test_a_name_that_resolves_here_is_no_name_of_a_router_without_keys(local):
    """A page of that name would be of the router's origin: neither face answers to it."""
    page, openai = local
    chat = json.dumps({"model": "f", "messages": []})
    for address in local:
        port = address.rpartition(":")[2]
        for host in ("evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", ""):
            for path in ("/", "/metrics", "/page/stream", "/v1/models"):
                assert asked_as(address, host, path)[0] in {400, 403, 404, 421}, (host, path)
    told = {"Content-Type": "application/json", "Origin": "http://evil.example"}
    assert asked_as(openai, "evil.example", "/v1/chat/completions", "POST", chat, **told)[0] == 421
    assert asked_as(page, "evil.example", "/page/act", "POST", DRAIN, **told)[0] == 421
    for host in (page, page.replace("127.0.0.1", "localhost"), "[::1]:1"):
        assert asked_as(page, host, "/metrics")[0] == 200
    assert asked_as(openai, openai, "/v1/models")[0] == 200
