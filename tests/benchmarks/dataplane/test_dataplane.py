"""The data plane's harness measures what it says, on real processes."""

import asyncio
import functools
import json
import os
import socket

import pytest

from benchmarks.dataplane import __main__ as command
from benchmarks.dataplane.client import Call, ClientConnection, Seen, turn
from benchmarks.dataplane.engine import Engine, EngineConnection, Stream
from benchmarks.dataplane.http2 import END_HEADERS, HEADERS, frame, headers
from benchmarks.dataplane.load import Load, drive
from benchmarks.dataplane.measure import measure, medians
from benchmarks.dataplane.memory import hold
from benchmarks.dataplane.pace import Pace
from benchmarks.dataplane.process import cpu_s, running
from benchmarks.dataplane.proxies import MissingError, program_of
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


@pytest.mark.parametrize("middle", ["direct", *BYTE_MOVERS, "naive", "spillway"])
async def test_tokens_arrive_at_the_pace_of_the_engine(middle):
    """Directly and through each middle that is here, without errors and never faster."""
    one = await measure(QUICK, middle, 0, 1.0, None)
    assert not one.errors
    assert one.requests_per_s > 0
    assert one.cpu_us_per_message >= 0
    # What fits into a second, and of each stream those that were late when it began to count.
    assert 0 < one.messages_per_s <= QUICK.streams * (1 / 0.005 + QUICK.messages)


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
        stream = Stream(on, 1, "/vllm.Inference/GenerateStream", engine.token)
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
