"""HTTP/2 as no client of good will speaks it: floods of streams, headers, pings and settings."""

import contextlib
import socket
import struct

import grpc
import pytest

from tests.attack.raw import CONTINUATION, PING, SETTINGS, Http2, block, literal
from tests.attack.scene import CONNECTIONS, GENERATE, KEYS, STREAM, ask, bearer, called
from tests.router.live.http2 import END_HEADERS, HEADERS, PREFACE, SETTINGS_FRAME, frame
from tests.waiting import DEADLINE_S, wait_until
from wire.vllm.inference_pb2 import GenerateResponse

CODES = grpc.StatusCode
FRAME_MAX = 16_384
NO_WINDOW = frame(SETTINGS, 0, 0, struct.pack(">HI", 4, 0))
WATCH_HEALTH = "/grpc.health.v1.Health/Watch"


def who(key="acme"):
    return (b"authorization", f"Bearer {KEYS[key]}".encode())


@pytest.fixture
def wire(scene):
    """A connection to speak HTTP/2 on by hand."""
    made = Http2(scene.tls(scene.address, alpn=("h2",))).settled()
    yield made
    made.close()


@pytest.mark.parametrize("fields", [(), (who(),)])
def test_streams_that_are_reset_at_once_leave_nothing_behind(scene, wire, fields):
    """Neither those of strangers, nor those that an engine has begun to answer."""
    raw = ask(tokens=1_000)
    for stream in range(1, 3_001, 2):
        wire.begin(stream, STREAM.encode(), *fields)
        wire.message(stream, raw)
        if not wire.reset(stream):
            break
        wire.take_ready()
    scene.until_at_rest()


def test_headers_without_end_are_cut_off(scene, wire):
    """Frames of them, however many, and however empty, that never end a block."""
    wire.send(frame(HEADERS, 0, 1, block(GENERATE.encode())))
    more = frame(CONTINUATION, 0, 1, literal(b"x", b"y" * 8_000))
    for _ in range(1_000):
        if not wire.send(more):
            break
    wire.read_until(lambda one: 1 in one.statuses or 1 in one.resets)
    assert wire.statuses.get(1) != 0
    empty = Http2(scene.tls(scene.address, alpn=("h2",)))
    empty.send(frame(HEADERS, 0, 1, block(GENERATE.encode())))
    empty.send(frame(CONTINUATION, 0, 1, b"") * 20_000)
    empty.close()


def test_headers_that_unfold_to_a_thousandfold_are_refused(wire):
    """A field of the peer's table, named again and again, is as large each time."""
    bomb = literal(b"x", b"y" * 4_000, indexed=True) + b"\xbe" * 12_000
    wire.send(frame(HEADERS, END_HEADERS, 1, block(GENERATE.encode()) + bomb))
    wire.read_until(lambda one: 1 in one.statuses or 1 in one.resets)
    assert wire.statuses.get(1) != 0


@pytest.mark.parametrize(("count", "size"), [(6_000, 1), (64, 1_024), (16, 8_000)])
def test_headers_of_any_number_are_bounded_together(scene, wire, count, size):
    """By the bound on all of them, not on each."""
    fields = [(b"h%d" % number, b"v" * size) for number in range(count)]
    whole = block(GENERATE.encode(), who(), *fields)
    parts = [whole[at : at + FRAME_MAX] for at in range(0, len(whole), FRAME_MAX)]
    for number, part in enumerate(parts):
        kind = CONTINUATION if number else HEADERS
        wire.send(frame(kind, END_HEADERS if number == len(parts) - 1 else 0, 1, part))
    wire.message(1, ask())
    wire.read_until(lambda one: 1 in one.statuses or 1 in one.resets)
    assert wire.statuses.get(1) != 0


def test_pings_and_settings_that_nobody_reads_the_answers_of_are_bounded(scene):
    """The connection is closed, or what waits for it stays small: the router's size is judged."""
    for flood in (frame(PING, 0, 0, b"pingping"), frame(SETTINGS, 0, 0, b"")):
        wire = Http2(scene.tls(scene.address, alpn=("h2",)))
        wire.sock.settimeout(0.5)  # a peer that reads no more has bounded it, too
        for _ in range(400):
            if not wire.send(flood * 1_000):
                break
        wire.close()


def test_a_client_that_reads_nothing_holds_a_bounded_part(scene):
    """Its windows are closed from the first, and it has asked for a thousand long answers."""
    wire = Http2(scene.tls(scene.address, alpn=("h2",)), settings=NO_WINDOW)
    for stream in range(1, 401, 2):
        wire.begin(stream, STREAM.encode(), who("bolt"))
        wire.message(stream, ask(tokens=500))
    wire.take_ready()
    scene.honest.until_answered()
    wire.close()
    scene.until_at_rest()


def test_a_connection_has_so_many_streams_and_no_more(scene, wire):
    """The rest are refused, and told apart from those that failed."""
    most = CONNECTIONS["streams_max"]
    for number in range(most + 50):
        wire.begin(1 + 2 * number, STREAM.encode(), who("bolt"))  # and never the message
        wire.take_ready()
    wire.read_until(lambda one: one.is_closed or len(one.resets) >= 50)
    assert not any(stream < 2 * most for stream in wire.resets)


def test_strangers_watch_health_in_bounded_number(scene):
    """Whoever comes beyond it is told to come later; whether it lives is still said."""
    most = CONNECTIONS["watches_max"]
    with contextlib.ExitStack() as opened:
        codes = []
        for _ in range(4):
            channel = opened.enter_context(scene.channel())
            watches = [
                channel.unary_stream(WATCH_HEALTH)(b"", timeout=DEADLINE_S)
                for _ in range(most // 2)
            ]
            opened.callback(lambda calls: [call.cancel() for call in calls], watches)
            for watch in watches:
                try:
                    next(watch)
                except grpc.RpcError as error:
                    codes.append(error.code())
        assert set(codes) == {CODES.RESOURCE_EXHAUSTED}
        assert called(channel, "/grpc.health.v1.Health/Check").code is CODES.OK


def test_messages_of_any_size_are_refused_by_it(scene):
    """By their length, before they are read; one that has less than it says is no message."""
    for size in (16 * 1024 * 1024 + 1, 40 * 1024 * 1024):
        with scene.channel() as channel:
            answer = called(channel, GENERATE, bytes(size), bearer(KEYS["acme"]))
        assert answer.code is CODES.RESOURCE_EXHAUSTED
        assert "16777216" in answer.details
    for length in (2**32 - 1, 2**31, 100):
        wire = Http2(scene.tls(scene.address, alpn=("h2",)))
        wire.begin(1, GENERATE.encode(), who())
        wire.send(frame(0, 1, 1, b"\0" + struct.pack(">I", length) + b"short"))
        wire.take_ready()
        wire.close()
    scene.until_at_rest()


def test_a_compressed_message_is_not_unfolded(scene):
    """On either face: a few bytes would be many before their size could be judged."""
    with scene.channel() as channel:
        call = channel.unary_stream(GENERATE)(
            ask("x" * 8_000_000), metadata=bearer(KEYS["acme"]), compression=grpc.Compression.Gzip
        )
        with pytest.raises(grpc.RpcError) as caught:
            list(call)
    assert caught.value.code() is CODES.UNIMPLEMENTED


@pytest.mark.parametrize(
    "sent",
    [
        frame(8, 0, 0, struct.pack(">I", 0)),
        frame(SETTINGS, 0, 0, b"x" * 5),
        frame(PING, 0, 0, b"short"),
        frame(CONTINUATION, END_HEADERS, 1, b""),
        b"\xff\xff\xff\x00\x00\x00\x00\x00\x01" + b"z" * 20_000,
        frame(HEADERS, END_HEADERS, 1, b"\xff" * 10),
        frame(HEADERS, END_HEADERS, 1, b"\x3f\xff\xff\xff\xff\x7f"),  # a table of gigabytes
        bytes(range(256)) * 40,
    ],
)
def test_frames_that_are_none_end_the_connection_or_their_call(wire, sent):
    """Of wrong sizes, in the middle of nothing, headers that are none, or noise."""
    wire.send(sent)
    wire.read_until(lambda one: one.statuses or one.resets)
    assert 0 not in wire.statuses.values()


@pytest.mark.parametrize(
    "sent",
    [
        frame(HEADERS, END_HEADERS, 2, block(GENERATE.encode())),  # a stream of the server's
        frame(HEADERS, END_HEADERS, 0, block(GENERATE.encode())),
        frame(0, 0, 7, b"data of nothing"),
        frame(8, 0, 0, struct.pack(">I", 2**31 - 1)) * 2,
        frame(0xFA, 0xFF, 0, b"unknown"),
    ],
)
def test_frames_that_nobody_waits_for_keep_nobody_from_an_answer(wire, sent):
    """The connection ends, or serves the next call as any."""
    wire.send(sent)
    wire.begin(9, GENERATE.encode(), who())
    wire.message(9, ask(tokens=1))
    wire.read_until(lambda one: 9 in one.statuses)
    assert wire.is_closed or wire.statuses == {9: 0}


def test_connections_beyond_the_most_are_closed_and_the_rest_goes_on(scene):
    """On each port, silent ones and such as shake hands; whoever was there is served."""
    most = CONNECTIONS["max"]
    before = scene.router.footprint.fds
    for address in (scene.address, scene.openai, scene.page):
        host, _, port = address.rpartition(":")
        with contextlib.ExitStack() as opened:
            for _ in range(2 * most):
                with contextlib.suppress(OSError):
                    plain = socket.create_connection((host, int(port)), DEADLINE_S)
                    opened.callback(plain.close)
            scene.honest.until_answered()
            assert scene.router.footprint.fds <= before + most + 12
        wait_until(lambda: scene.router.footprint.fds <= before + 12)


def test_connections_that_say_nothing_are_closed(scene):
    """By the time for a handshake; the client that keeps them does nothing for it."""
    before = scene.router.footprint.fds
    with contextlib.ExitStack() as opened:
        for address in (scene.address, scene.openai, scene.page):
            host, _, port = address.rpartition(":")
            for _ in range(30):
                plain = socket.create_connection((host, int(port)), DEADLINE_S)
                opened.callback(plain.close)
                plain.sendall(b"\x16\x03\x01\x02\x00\x01")
        wait_until(lambda: scene.router.footprint.fds > before + 60)
        wait_until(lambda: scene.router.footprint.fds <= before + 12)


def test_connections_that_shake_hands_and_say_no_more_are_closed(scene):
    """Those that have not acknowledged the settings of HTTP/2, and such as send half a frame."""
    before = scene.router.footprint.fds
    with contextlib.ExitStack() as opened:
        for sent in (b"", PREFACE, PREFACE + SETTINGS_FRAME + b"\0\0"):
            for _ in range(15):
                spoken = opened.enter_context(scene.tls(scene.address, alpn=("h2",)))
                spoken.sendall(sent)
        assert scene.router.footprint.fds >= before + 40
        wait_until(lambda: scene.router.footprint.fds <= before + 12)


def test_what_is_asked_for_after_the_floods_is_answered(scene):
    """As before them."""
    answer = scene.call(GENERATE, ask(tokens=3), bearer(KEYS["acme"]))
    assert GenerateResponse.FromString(answer.messages[0]).outputs.text
