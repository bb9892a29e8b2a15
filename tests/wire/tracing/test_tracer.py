"""Where spans go, and what happens where they cannot go anywhere."""

import socket

import pytest

from tests.collector import collector
from tests.waiting import DEADLINE_S, until
from wire.tracing import otel
from wire.tracing.context import TraceContext
from wire.tracing.settings import TracingSettings, endpoint_of, protocol_problem
from wire.tracing.tracer import NOTHING, UNTRACED, Kind, TracingError, open_tracer

ABOVE = TraceContext(0xABC, 0xDEF, 1, "a=1")
FOR_EVER_S = 100 * DEADLINE_S  # longer than a test may take: an end that waits for it never comes
NOT_SAMPLED = TraceContext(0xABC, 0xDEF, 0)


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """Nothing but what a test says is in the environment, and spans do not wait for company.

    A collector that is there gets all of them, however busy the machine is.
    """
    monkeypatch.setattr(otel, "CLOSE_S", DEADLINE_S)
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_TRACES_SAMPLER", "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")


@pytest.mark.parametrize(
    ("endpoint", "environ", "found"),
    [
        (None, {}, None),
        ("http://a:1", {}, "http://a:1"),
        ("http://a:1", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://b:1"}, "http://a:1"),
        (None, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://b:1"}, "http://b:1"),
        (
            None,
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://b:1",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:1",
            },
            "http://c:1",
        ),
        (None, {"OTEL_TRACES_EXPORTER": "otlp"}, "http://localhost:4317"),
        (None, {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://b:1"}, None),
        ("http://a:1", {"OTEL_SDK_DISABLED": "true"}, None),
    ],
)
def test_the_settings_go_before_the_environment(endpoint, environ, found):
    """And without either there is no collector."""
    assert endpoint_of(TracingSettings(endpoint), environ) == found


def test_another_protocol_than_grpc_is_said_to_be():
    """An endpoint of the settings is one for gRPC, whatever the environment says."""
    http = {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}
    assert "set it to grpc" in protocol_problem(TracingSettings(), http)
    assert not protocol_problem(TracingSettings("http://a:1"), http)
    assert not protocol_problem(TracingSettings(), {})


def test_without_a_collector_what_came_goes_on():
    """And nothing more."""
    assert open_tracer(TracingSettings(), "s") is NOTHING
    assert NOTHING.begin("n", Kind.SERVER, None, {}) is UNTRACED
    span = NOTHING.begin("n", Kind.SERVER, ABOVE, {})
    assert span.begin("m", Kind.CLIENT, {}).context == ABOVE
    assert not span.records


async def test_spans_arrive_below_what_they_came_with():
    """With their names, attributes, events and how they ended."""
    with collector() as there:
        tracer = open_tracer(TracingSettings(there.endpoint), "spillway-test", "one")
        above = tracer.begin("above", Kind.SERVER, ABOVE, {"a": 1})
        below = above.begin("below", Kind.CLIENT, {})
        below.event("seen", {"b": True})
        below.end("broken", "it broke")
        below.end()
        above.set({"c": ["x"]})
        above.end()
        tracer.close()
        below, above = there.spans
        assert above.trace == below.trace == ABOVE.trace_hex
        assert above.parent == f"{ABOVE.span_id:016x}"
        assert below.parent == above.id
        assert (above.kind, below.kind, above.state) == ("SERVER", "CLIENT", "a=1")
        assert above.attributes == {"a": 1, "c": ["x"]}
        assert below.event("seen") == {"b": True}
        assert (above.failed, below.failed) == (False, True)
        assert below.attributes["error.type"] == "broken"
        assert above.service == "spillway-test"


async def test_who_is_above_decides_whether_it_is_seen():
    """Of those that come without a trace, as many are as the settings say."""
    with collector() as there:
        tracer = open_tracer(TracingSettings(there.endpoint, sampled=0.0), "s")
        unseen = tracer.begin("n", Kind.SERVER, NOT_SAMPLED, {})
        first = tracer.begin("n", Kind.SERVER, None, {})
        for span in (unseen, first):
            assert not span.records
            assert not span.context.sampled
        assert unseen.context.trace_id == NOT_SAMPLED.trace_id
        seen = tracer.begin("seen", Kind.SERVER, ABOVE, {})
        for span in (unseen, first, seen):
            span.end()
        tracer.close()
        assert [span.name for span in there.spans] == ["seen"]


def test_no_collector_holds_anybody_up(monkeypatch):
    """Neither whoever makes spans, of which no more wait than may, nor the end of a process."""
    monkeypatch.setattr(otel, "CLOSE_S", 0.2)
    monkeypatch.setattr(otel, "_TIMEOUT_S", FOR_EVER_S)
    tracer = open_tracer(TracingSettings("http://127.0.0.1:1", queue_max=8), "s")
    for _ in range(1_000):
        tracer.begin("n", Kind.SERVER, None, {}).end()
    processor = tracer._provider._active_span_processor._span_processors[0]
    assert len(processor._batch_processor._queue) <= 8
    tracer.close()


def test_a_collector_that_takes_spans_and_says_nothing_holds_nobody_up(monkeypatch):
    """It listens and never answers: what it was sent is given up at the end."""
    monkeypatch.setattr(otel, "CLOSE_S", 0.2)
    monkeypatch.setattr(otel, "_TIMEOUT_S", FOR_EVER_S)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        endpoint = f"http://127.0.0.1:{mute.getsockname()[1]}"
        tracer = open_tracer(TracingSettings(endpoint), "s")
        for _ in range(100):
            tracer.begin("n", Kind.SERVER, None, {}).end()
        tracer.close()


async def test_a_collector_that_comes_late_gets_what_comes_after(monkeypatch):
    """Whoever makes spans does nothing for it."""
    with collector() as there:
        port = there.port
    tracer = open_tracer(TracingSettings(f"http://127.0.0.1:{port}", queue_max=64), "s")
    tracer.begin("before", Kind.SERVER, None, {}).end()
    with collector(port) as there:

        def seen():
            tracer.begin("after", Kind.SERVER, None, {}).end()
            return any(span.name == "after" for span in there.spans)

        await until(seen)
        tracer.close()


def test_what_the_settings_ask_for_and_cannot_be_is_an_error(monkeypatch, caplog):
    """What only the environment asks for is given up, and said."""
    monkeypatch.setitem(__import__("sys").modules, "wire.tracing.otel", None)
    with pytest.raises(TracingError, match=r"spillway\[tracing\]"):
        open_tracer(TracingSettings("http://127.0.0.1:1"), "s")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    assert open_tracer(TracingSettings(), "s") is NOTHING
    assert "no spans" in caplog.text


def test_spans_of_their_own_name_leave_it_to_the_environment(monkeypatch):
    """OTEL_SERVICE_NAME is what whoever runs the process calls it."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    with collector() as there:
        tracer = open_tracer(TracingSettings(there.endpoint), "s")
        tracer.begin("n", Kind.SERVER, None, {}).end()
        tracer.close()
        assert there.spans[0].service == "mine"
