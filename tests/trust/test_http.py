"""What a router speaks over HTTP has its certificate, and asks for those that it accepts."""

import contextlib
import http.client
import json
import socket
import ssl
from contextlib import closing

import pytest

from tests.trust.pki import FRONT
from tests.trust.processes import router, tls_of
from tests.waiting import DEADLINE_S

MONITOR = "spiffe://example.org/monitor"


def free_port():
    """A port that was free a moment ago."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def status_of(port, path, authority, issued=None):
    """What a page answers to who shows this certificate: status and body."""
    context = ssl.create_default_context(cafile=authority)
    if issued is not None:
        context.load_cert_chain(issued.certificate, issued.key)
    with closing(http.client.HTTPSConnection("127.0.0.1", port, context=context)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()


@pytest.fixture(scope="module")
def front(pki):
    """The router's certificate."""
    return pki.issue(FRONT, "127.0.0.1")


@pytest.fixture(scope="module")
def ports(pki, front, tmp_path_factory):
    """Those of metrics and of OpenAI's API of a router that accepts MONITOR."""
    metrics, openai = free_port(), free_port()
    listens = {"metrics_listen": f"127.0.0.1:{metrics}", "openai_listen": f"127.0.0.1:{openai}"}
    tls = tls_of(front, pki.certificate, [MONITOR])
    sites = {"ridge": {"endpoints": ["127.0.0.1:1"]}}
    with router(tmp_path_factory.mktemp("http"), sites, tls=tls, **listens):
        yield metrics, openai


def test_who_is_accepted_reads_metrics_and_models(ports, pki):
    """With TLS on both."""
    metrics, openai = ports
    monitor = pki.issue(MONITOR)
    status, body = status_of(metrics, "/metrics", pki.certificate, monitor)
    assert status == 200
    assert b"spillway_" in body
    status, body = status_of(openai, "/v1/models", pki.certificate, monitor)
    assert (status, json.loads(body)["data"]) == (200, [])


def test_others_are_refused(ports, pki, foreign):
    """Of another name by the answer, of another authority or none in the handshake."""
    for port, path in zip(ports, ("/metrics", "/v1/models"), strict=True):
        status, body = status_of(port, path, pki.certificate, pki.issue("stranger"))
        assert status == 403
        assert b"certificate is not accepted here" in body
        for shown in (None, foreign.issue(MONITOR)):
            with pytest.raises((ssl.SSLError, ConnectionError)):
                status_of(port, path, pki.certificate, shown)


def test_the_health_port_tells_anybody_its_one_word(pki, front, tmp_path):
    """In plaintext, beside ports that ask for a certificate."""
    port = free_port()
    tls = tls_of(front, pki.certificate, [MONITOR])
    sites = {"ridge": {"endpoints": ["127.0.0.1:1"]}}
    listen = f"127.0.0.1:{port}"
    with (
        router(tmp_path, sites, tls=tls, health_listen=listen),
        closing(http.client.HTTPConnection("127.0.0.1", port)) as connection,
    ):
        for path, status in (("/livez", 200), ("/readyz", 503), ("/metrics", 404)):
            connection.request("GET", path)
            response = connection.getresponse()
            response.read()
            assert response.status == status, path


def test_plaintext_gets_nothing(ports):
    """No redirect, no answer."""
    with socket.create_connection(("127.0.0.1", ports[0]), DEADLINE_S) as plain:
        plain.sendall(b"GET /metrics HTTP/1.1\r\nHost: router\r\n\r\n")
        said = b""
        with contextlib.suppress(ConnectionError):
            while more := plain.recv(4096):
                said += more
    assert b"HTTP" not in said


def test_a_new_certificate_is_shown_at_once(ports, pki, foreign, front):
    """To whoever connects from then on."""
    monitor = pki.issue(MONITOR)
    front.replace_by(foreign.issue("127.0.0.1"))
    try:
        with pytest.raises(ssl.SSLCertVerificationError):
            status_of(ports[0], "/metrics", pki.certificate, monitor)
        assert status_of(ports[0], "/metrics", foreign.certificate, monitor)[0] == 200
    finally:
        front.replace_by(pki.issue("127.0.0.1"))
