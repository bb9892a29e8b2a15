"""HTTP as no client of good will speaks it: slow, ambiguous, endless, deep, or packed."""

import contextlib
import gzip
import json
import re
import zlib

import pytest

from tests.attack.scene import CONNECTIONS, KEYS, as_json
from tests.waiting import DEADLINE_S, wait_until

CHAT = "/v1/chat/completions"
ACME = f"Authorization: Bearer {KEYS['acme']}"


def exchanged(scene, sent, address=None, *, until_closed=True):
    """All that a face of HTTP answers to these bytes, until it closes or says no more."""
    with scene.tls(address or scene.openai) as spoken:
        spoken.settimeout(DEADLINE_S)
        with contextlib.suppress(OSError):
            spoken.sendall(sent)
        got = b""
        with contextlib.suppress(OSError):
            while more := spoken.recv(65_536):
                got += more
                if not until_closed and got.count(b"\r\n\r\n"):
                    break
    return got


def request(path, body=b"", *headers, method="POST"):
    """A request that closes its connection."""
    lines = (
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        ACME,
        "Connection: close",
        "Content-Type: application/json",
        *headers,
    )
    if not any(line.lower().startswith(("content-length", "transfer")) for line in headers):
        lines += (f"Content-Length: {len(body)}",)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def statuses(answer):
    """The status of each response in what came."""
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] ([0-9]{3})", answer)]


SMUGGLED = b"GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 4", "Content-Length: 40"),
        ("Content-Length: 4, 40",),
        ("Content-Length: +4",),
        ("Content-Length: -1",),
        ("Content-Length: 4_0",),
        ("Content-Length: 0x4",),
        ("Content-Length: 4", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 4"),
        ("Transfer-Encoding: xchunked",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding : chunked",),
        ("Transfer-Encoding: \x0bchunked",),
        ("Content-Length : 4",),
        ("Content-Length: 4", "X: y\n Content-Length: 40"),
        ("X: y\r Content-Length: 40",),
        ("X: y\x00z",),
    ],
)
def test_a_request_of_two_lengths_is_refused_and_what_follows_is_no_request(scene, headers):
    """So no proxy in front can be made to take one for the other."""
    answer = exchanged(scene, request(CHAT, b"0\r\n\r\n" + SMUGGLED, *headers))
    assert len(statuses(answer)) <= 1
    assert all(status in {400, 408, 413, 501} for status in statuses(answer)), answer
    assert b'"object"' not in answer


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
        b"GET http://[x HTTP/1.1\r\nHost: a\r\n\r\n",
        b"CONNECT evil:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"TRACE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"\r\n" * 10_000,
        b"A" * 100_000,
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"GET /v1/../../etc/passwd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        b"\x00\xff" * 5_000,
    ],
)
def test_what_is_no_request_is_refused_and_its_connection_closed(scene, sent):
    """With a status below 500, or with nothing."""
    for address in (scene.openai, scene.page):
        answer = exchanged(scene, sent, address)
        assert all(400 <= status < 500 for status in statuses(answer)), answer
        assert b"root:" not in answer


def test_a_body_that_is_packed_is_refused_unread(scene):
    """By each way to say that it is."""
    packed = gzip.compress(b" " * 50_000_000)
    for encoding in ("gzip", "deflate", "br", "gzip, gzip", "zstd"):
        answer = exchanged(scene, request(CHAT, packed, f"Content-Encoding: {encoding}"))
        assert statuses(answer) == [415]
    packed = zlib.compress(b" " * 50_000_000)
    for path in ("/page/explain", "/page/act"):
        told = ("Content-Encoding: deflate", f"Origin: https://{scene.page}")
        answer = exchanged(scene, request(path, packed, *told), scene.page)
        assert statuses(answer) in ([401], [413], [415])


def test_a_body_of_any_size_is_refused_by_it(scene):
    """By the length that it says, or once it has more; nothing waits for the rest."""
    for headers, sent in (
        ((f"Content-Length: {2**40}",), b""),
        ((f"Content-Length: {2**80}",), b""),
        (("Transfer-Encoding: chunked",), b"zz\r\n"),
    ):
        answer = exchanged(scene, request(CHAT, sent, *headers), until_closed=False)
        assert all(status in {400, 413} for status in statuses(answer)), answer
    large = b'{"x": "' + b"y" * (17 * 1024 * 1024) + b'"}'
    assert statuses(exchanged(scene, request(CHAT, large))) == [413]


BODIES = {
    "arrays": b"[" * 2_000_000,
    "objects": b'{"a":' * 500_000,
    "messages of depth": as_json({"model": "f", "messages": json.loads("[" * 400 + "]" * 400)}),
    "numbers": b'{"model": "f", "max_tokens": 1' + b"0" * 1_000_000 + b"}",
    "a number of no size": b'{"model": "f", "temperature": 1e99999, "messages": []}',
    "not a number": b'{"model": "f", "temperature": NaN, "messages": []}',
    "a key twice": b'{"model": "f", "model": "g", "messages": []}',
    "half a pair": b'{"model": "\\ud800", "messages": []}',
    "zeros": b"\0" * 100_000,
    "not UTF-8": b'{"model": "\xff"}',
    "many keys": b"{" + b",".join(b'"k%d": 1' % number for number in range(100_000)) + b"}",
    "many messages": as_json(
        {"model": "f", "messages": [{"role": "user", "content": "x"}] * 100_000}
    ),
}


@pytest.mark.parametrize("kind", BODIES)
def test_json_of_any_shape_is_read_or_refused(scene, kind):
    """By OpenAI's kind of error, and within the bounds on everything."""
    answer = exchanged(scene, request(CHAT, BODIES[kind]))
    assert len(statuses(answer)) == 1
    assert 400 <= statuses(answer)[0] < 500, answer[:500]
    assert b'"error"' in answer


def test_clients_that_never_finish_their_headers_are_closed(scene):
    """A line every now and then keeps no connection; those that ask are served all the while."""
    before = scene.router.footprint.fds
    with contextlib.ExitStack() as opened:
        held = []
        for address in (scene.openai, scene.page):
            for _ in range(40):
                spoken = opened.enter_context(scene.tls(address))
                spoken.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
                held.append(spoken)
        assert scene.router.footprint.fds >= before + 70

        def closed():
            for spoken in held:
                with contextlib.suppress(OSError):
                    spoken.sendall(b"X: y\r\n")
            return scene.router.footprint.fds <= before + 12

        wait_until(closed, every_s=0.2)


def test_a_body_that_never_comes_holds_a_bounded_part(scene):
    """Until its client goes; others' bodies are read all the while."""
    with contextlib.ExitStack() as opened:
        for address, path in ((scene.openai, CHAT), (scene.page, "/page/explain")):
            for _ in range(20):
                spoken = opened.enter_context(scene.tls(address))
                spoken.sendall(request(path, b"{", "Content-Length: 1000"))
        whole = as_json({"model": "f", "max_tokens": 2, "messages": [_said("4")]})
        assert statuses(exchanged(scene, request(CHAT, whole))) == [200]


def _said(text):
    return {"role": "user", "content": text}


def test_many_requests_on_one_connection_are_answered_in_turn(scene):
    """However many come at once: what is not answered yet is not read, either."""
    one = request("/v1/models", method="GET").replace(b"Connection: close\r\n", b"")
    last = request("/v1/models", method="GET")
    answer = exchanged(scene, one * 300 + last)
    assert statuses(answer) == [200] * 301


def test_a_client_that_reads_no_answer_is_given_no_more_than_a_part(scene):
    """It asks for a long one and for the page's stream, and reads neither."""
    body = {"model": "f", "stream": True, "max_tokens": 2_000, "messages": [_said("4")]}
    with contextlib.ExitStack() as opened:
        for _ in range(CONNECTIONS["max"] // 4):
            spoken = opened.enter_context(scene.tls(scene.openai))
            spoken.sendall(request(CHAT, as_json(body)))
        scene.honest.until_answered()
    scene.until_at_rest()
