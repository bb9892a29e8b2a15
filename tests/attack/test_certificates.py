"""Whoever is not who a side was told of gets no further than the handshake, or its first call."""

import socket
import ssl

import grpc
import pytest

from tests.attack.programs import Program
from tests.attack.scene import GENERATE, KEYS, ask, bearer, called, fleet_file
from tests.trust.pki import FRONT, RIDGE, Pki
from tests.trust.processes import answer_of
from tests.waiting import DEADLINE_S, wait_until

CODES = grpc.StatusCode


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """Somebody else's authority."""
    return Pki(tmp_path_factory.mktemp("foreign") / "authority")


def test_a_site_is_open_to_its_router_alone(scene, foreign, tmp_path):
    """No certificate, another authority's, an expired one, another site's, or one of its making."""
    pki, site = scene.pki, scene.home_address
    below = Pki.signed_by(pki.issue(FRONT), tmp_path / "below")
    for issued in (
        None,
        foreign.issue(FRONT),
        pki.issue(FRONT, days_ago=10, days=1),
        below.issue(FRONT),
    ):
        assert answer_of(site, pki.certificate, issued, RIDGE)[0] is CODES.UNAVAILABLE
    for name in (RIDGE, f"x.{RIDGE}", "front", FRONT + "/x", FRONT[:-1]):
        code, words = answer_of(site, pki.certificate, pki.issue(name), RIDGE)
        assert code is CODES.PERMISSION_DENIED
        assert "is not accepted here" in words
    assert answer_of(site, pki.certificate, pki.issue(FRONT), RIDGE) == "f"


def versions_up_to(version):
    """A client that speaks no later version of TLS, nor wants a safe cipher."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = version
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")
def test_no_side_is_talked_into_an_older_tls(scene):
    """TLS 1.1 fails in the handshake, on each port; 1.2 does not."""
    for address in (scene.address, scene.openai, scene.page):
        host, _, port = address.rpartition(":")
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            with (
                socket.create_connection((host, int(port)), DEADLINE_S) as plain,
                pytest.raises((ssl.SSLError, ConnectionError)),
            ):
                versions_up_to(version).wrap_socket(plain)
        plain = socket.create_connection((host, int(port)), DEADLINE_S)
        with versions_up_to(ssl.TLSVersion.TLSv1_2).wrap_socket(plain) as spoken:
            assert spoken.version() == "TLSv1.2"


def test_no_side_is_talked_out_of_tls(scene):
    """A request in plaintext is answered by no port that has TLS, not even with a redirect."""
    http = b"GET / HTTP/1.1\r\nHost: router\r\n\r\n"
    http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    for address in (scene.address, scene.openai, scene.page, scene.home_address):
        for sent in (http, http2, b"\0" * 64, b"\x16\x03\x01\xff\xff" + b"x" * 64):
            host, _, port = address.rpartition(":")
            with socket.create_connection((host, int(port)), DEADLINE_S) as plain:
                plain.sendall(sent)
                plain.shutdown(socket.SHUT_WR)
                got = plain.makefile("rb").read(4_096)
            assert b"HTTP" not in got
            assert b"SETTINGS" not in got
    with grpc.insecure_channel(scene.address) as channel:
        answer = called(channel, GENERATE, ask(), bearer(KEYS["acme"]))
        assert answer.code is CODES.UNAVAILABLE


@pytest.mark.parametrize("name", [f"other.{RIDGE}", "127.0.0.1"])
def test_a_router_sends_nothing_to_a_site_of_another_name(scene, tmp_path, name):
    """Though its certificate is of the right authority: it never hears of a request."""
    shown, front = scene.pki.issue(name), scene.pki.issue(FRONT, "127.0.0.1")
    listens = {"metrics_listen": None, "openai_listen": None}
    site = Program(
        tmp_path,
        "site",
        *("serving.standalone", "engine=fake", "model=f", f"certificate={shown.certificate}"),
        *(f"key={shown.key}", f"authority={scene.pki.certificate}", f"accept={FRONT}"),
    )
    try:
        endpoint = {"endpoints": [site.address("serving f on")], "tls": {"identity": RIDGE}}
        own = {"certificate": str(front.certificate), "key": str(front.key)}
        file = fleet_file(
            tmp_path,
            {"home": {"kind": "home", **endpoint}},
            tls={**own, "authority": str(scene.pki.certificate)},
            authentication={"anonymous": True},
            **listens,
        )
        router = Program(tmp_path, "router", "spillway", "route", file)
        try:
            trusted = grpc.ssl_channel_credentials(scene.pki.certificate.read_bytes())
            with grpc.secure_channel(router.address("Router at"), trusted) as channel:
                answer = called(channel, GENERATE, ask())
            assert answer.code is CODES.UNAVAILABLE
            wait_until(lambda: "Hostname Verification Check failed" in router.said)
        finally:
            router.end()
    finally:
        site.end()
