"""The data plane's harness measures what it says, on real processes."""

import asyncio
import functools
import json
import os
import socket
import time

import pytest

from benchmarks.dataplane import __main__ as command
from benchmarks.dataplane.client import Call, ClientConnection, Seen, turn
from benchmarks.dataplane.engine import Engine, EngineConnection, Stream
from benchmarks.dataplane.http1 import LAST_CHUNK, chunk
from benchmarks.dataplane.http2 import END_HEADERS, HEADERS, frame, headers
from benchmarks.dataplane.load import Load, drive
from benchmarks.dataplane.measure import measure, medians
from benchmarks.dataplane.memory import hold
from benchmarks.dataplane.middles import MIDDLES
from benchmarks.dataplane.openai_client import OpenAiClientConnection
from benchmarks.dataplane.pace import Pace
from benchmarks.dataplane.process import cpu_s, running
from benchmarks.dataplane.proxies import program_of
from benchmarks.rival_program import MissingError, find
from tests.waiting import DEADLINE_S

QUICK = Load("quick", streams=4, interval_ms=5, messages=20)
BURSTS = Load("quick, bursts", streams=4, interval_ms=5, messages=20, shape="bursts")
SHORT = Load("short", streams=4, interval_ms=0, messages=8)


def _installed(name):
    try:
        program_of(name, None)
    except MissingError:
        return False
    return True


BYTE_MOVERS = [name for name in ("nginx", "haproxy", "envoy") if _installed(name)]


def test_spread_streams_have_their_own_grids_and_bursts_share_one():
    """The message after the first is one interval later, or on the next line of a common grid."""
    assert Pace(0.02, "spread").first_due(1.003) == pytest.approx(1.023)
    assert Pace(0.02, "bursts").first_due(1.003) == pytest.approx(1.02)
    assert Pace(0.02, "bursts").first_due(1.019) == pytest.approx(1.02)


OPENAI = ["openai direct", "openai spillway", "openai spillway link"]
LLM_ROUTERS = [one.name for one in MIDDLES.values() if one.rival and find(one.rival.program, None)]


@pytest.mark.parametrize(
    "middle", ["direct", *BYTE_MOVERS, "naive", "spillway", *OPENAI, *LLM_ROUTERS]
)
async def test_streams_come_whole_through_each_middle(middle):
    """Through nothing and through all that are here, by what each of them speaks."""
    one = await measure(QUICK, middle, 0, 1.0, None)
    assert not one.errors
    assert one.messages_per_s > 0
    assert one.cpu_us_per_message >= 0


@pytest.mark.parametrize("middle", ["direct", "openai direct"])
async def test_no_token_comes_before_its_time(middle):
    """The tenth is due nine intervals after the first, whatever the engine speaks."""
    kind = MIDDLES[middle]
    async with running(kind.engine, ["--interval-ms", "20"]) as engine:
        seen = Seen()
        connect = OpenAiClientConnection if kind.api == "openai" else ClientConnection
        connection = connect(engine.address, seen)
        Call(connection, 10, lambda _call: None)
        begun_s = time.monotonic()
        await asyncio.to_thread(_until, [connection], lambda: seen.requests)
        assert time.monotonic() - begun_s > 9 * 0.020 - 0.001
        assert not seen.errors
        assert (seen.tokens, seen.requests) == (10, 1)
        connection.close()


async def test_what_an_http_server_refuses_is_an_error_and_the_connection_goes_on():
    """A page that is no stream of events ends its call and no other."""
    async with running("benchmarks.dataplane.openai_engine", ["--interval-ms", "0"]) as engine:
        seen = Seen()
        connection = OpenAiClientConnection(engine.address, seen)
        Call(connection, 3, lambda _call: None)
        connection.out[0] = connection.out[0].replace(b"/v1/completions", b"/nowhere")
        await asyncio.to_thread(_until, [connection], seen.errors.total)
        assert next(iter(seen.errors)).startswith("HTTP/1.1 404")
        Call(connection, 3, lambda _call: None)
        await asyncio.to_thread(_until, [connection], lambda: seen.requests)
        assert seen.tokens == 3
        connection.close()


async def test_whoever_speaks_http2_to_the_openai_engine_is_left():
    """Some routers try gRPC first; the engine closes that connection, and serves on."""
    async with running("benchmarks.dataplane.openai_engine", ["--interval-ms", "0"]) as engine:
        seen = Seen()
        grpc_client = ClientConnection(engine.address, seen)
        Call(grpc_client, 3, lambda _call: None)
        await asyncio.to_thread(_until, [grpc_client], seen.errors.total)
        assert seen.errors == {"the connection was lost": 1}
        http_client = OpenAiClientConnection(engine.address, seen)
        Call(http_client, 3, lambda _call: None)
        await asyncio.to_thread(_until, [http_client], lambda: seen.requests)
        assert seen.tokens == 3
        http_client.close()


def test_several_tokens_in_one_event_are_all_counted():
    """As a router writes them that has put messages together; an event may come in two parts."""
    connection = _UnconnectedClient()
    ended = []
    Call(connection, 3, ended.append)
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    event = b'data: {"choices":[{"text":" 417 417"}]}\n\n'
    last = b'data: {"choices":[{"text":" 417"}]}\n\ndata: [DONE]\n\n'
    came = head + chunk(event[:20]) + chunk(event[20:]) + chunk(last)
    assert connection.take(came, len(came)) == len(came)
    assert not ended
    assert connection.take(LAST_CHUNK, len(LAST_CHUNK)) == len(LAST_CHUNK)
    assert len(ended) == 1
    seen = connection.seen
    assert (seen.tokens, seen.messages, seen.requests) == (3, 2, 1)
    assert not seen.errors


class _UnconnectedClient(OpenAiClientConnection):
    def __init__(self):
        self.out, self.calls, self.seen = [], {}, Seen()
        self.closed, self._address, self._sent = False, "nowhere:1", 0


@pytest.mark.parametrize("load", [BURSTS, SHORT])
async def test_every_shape_of_load_is_answered(load):
    """In bursts, and as fast as it goes."""
    one = await measure(load, "direct", 0, 0.3, None)
    assert not one.errors
    assert one.requests_per_s > 0


async def test_streams_are_held_open_and_counted():
    """Through the naive proxy, whose memory grows by each."""
    held = await hold("naive", 50, None)
    assert (held.streams, held.errors) == (50, 0)
    assert held.stream_kb > 0


async def test_the_figure_of_several_repeats_is_their_median():
    """But no error is hidden."""
    one = await measure(SHORT, "direct", 0, 0.1, None)
    other = medians([one, one])["short"]["direct"]
    assert other.messages_per_s == one.messages_per_s
    assert other.repeat == 2


def test_an_absent_rival_is_named_with_how_to_install_it(monkeypatch):
    """And not taken for one that failed."""
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(MissingError, match=r"nginx is not installed \(apt-get install nginx-light"):
        program_of("nginx", None)


def test_the_engine_waits_for_the_window():
    """What a stream is owed goes out when the peer takes more, and not before."""
    ours, peer = socket.socketpair(socket.AF_UNIX)
    engine = Engine(Pace(0.0))
    with ours, peer:
        on = _Unconnected(engine)
        on.window = on.stream_window = 2 * len(engine.token)
        stream = Stream(on, 1, window=on.stream_window)
        on.streams[1] = stream
        stream.tokens, stream.owed = 5, 5
        on.pay(stream)
        assert stream.owed == 3
        on.window += 1_000
        on.on_window(1, 1_000)
        assert 1 not in on.streams


class _Unconnected(EngineConnection):
    def __init__(self, engine):
        self.out = []
        self.streams = {}
        self.closed = False
        self._engine = engine


async def test_an_unknown_method_is_unimplemented():
    """As a server of vllm.Inference alone answers it."""
    async with running("benchmarks.dataplane.engine", []) as engine:
        seen = Seen()
        connection = ClientConnection(engine.address, seen)
        path = headers([(":method", "POST"), (":path", "/spillway.v1.Load/Watch")])
        connection._headers = path
        Call(connection, 1, lambda _call: None)
        await asyncio.to_thread(_until, [connection], seen.errors.total)
        assert next(iter(seen.errors)).startswith("status 12")
        connection.close()


def _until(connections, holds):
    for _ in range(round(DEADLINE_S / 0.05)):
        if holds():
            return
        turn(connections, 0.05)


def test_headers_are_plain_and_frames_have_nine_bytes_before_them():
    """What goes out is what RFC 9113 and RFC 7541 say."""
    block = headers([("a", "bc")])
    assert block == b"\x00\x01a\x02bc"
    assert frame(HEADERS, END_HEADERS, 3, block)[:9] == b"\0\0\6\1\4\0\0\0\3"


async def test_a_lost_connection_is_an_error_of_each_of_its_streams():
    """Nothing is lost in silence."""
    async with running("benchmarks.dataplane.engine", ["--interval-ms", "1000"]) as engine:
        seen = Seen()
        connection = ClientConnection(engine.address, seen)
        Call(connection, 5, lambda _call: None)
        await asyncio.to_thread(_until, [connection], lambda: seen.ttft_s)
        connection.close()
    assert seen.errors == {"the connection was lost": 1}


def test_cpu_time_grows_with_work():
    """The CPU time of this very process, after it has worked."""
    before_s = cpu_s(os.getpid())
    while cpu_s(os.getpid()) == before_s:
        sum(range(100_000))
    assert cpu_s(os.getpid()) > before_s


async def test_only_what_was_driven_is_counted():
    """A drive tells how long it counted, and what the middle took in that time."""
    async with running("benchmarks.dataplane.engine", ["--interval-ms", "0"]) as engine:
        cpu = functools.partial(cpu_s, engine.pid)
        drove = await asyncio.to_thread(drive, engine.address, SHORT, 0.2, cpu)
    assert drove.seconds >= 0.2
    assert drove.seen.tokens == drove.seen.messages > 0


def test_the_command_writes_what_it_measured(tmp_path, monkeypatch, capsys):
    """Table, JSON and picture; it ends well where no stream had an error."""
    out, picture = tmp_path / "out.json", tmp_path / "picture.png"
    monkeypatch.setattr(command, "LOADS", (SHORT,))
    monkeypatch.setattr(
        "sys.argv",
        [
            *("dataplane", "--middles", "direct", "naive", "--repeats", "1", "--seconds", "0.2"),
            *("--streams", "20", "--out", str(out), "--picture", str(picture)),
        ],
    )
    assert command.main() == 0
    assert "short: naive" in capsys.readouterr().out
    result = json.loads(out.read_text())
    assert [one["middle"] for one in result["measured"]] == ["direct", "naive"]
    assert result["held"]["naive"]["streams"] == 20
    assert picture.stat().st_size > 0
