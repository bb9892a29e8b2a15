"""Traces of routers and engines that are processes of their own, at a collector of the protocol."""

import contextlib
import subprocess
import sys

import grpc
import pytest

from spillway.client import SyncClient
from tests.collector import collector
from tests.trust.processes import replica, router, until_up
from tests.waiting import DEADLINE_S, wait_until
from wire.spillway.v1 import load_pb2, load_pb2_grpc
from wire.vllm import inference_pb2 as pb
from wire.vllm import inference_pb2_grpc

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CAME = (("traceparent", f"00-{TRACE}-{SPAN}-01"), ("tracestate", "v=1"))


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Spans do not wait for company, in these processes either."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")


def stream(address, text, tokens, metadata=()):
    """A stream by a plain client of the wire, message by message."""
    with grpc.insecure_channel(address) as channel:
        request = pb.GenerateRequest(text=text)
        request.stopping.max_new_tokens = tokens
        stub = inference_pb2_grpc.InferenceStub(channel)
        yield from stub.GenerateStream(request, metadata=metadata, timeout=2 * DEADLINE_S)


def test_a_stream_whose_engine_is_killed_is_one_trace(tmp_path):
    """Its client's, with one request, two attempts below it, and the answer of the second."""
    with collector() as there, contextlib.ExitStack() as stack:
        traced = {"tracing.endpoint": there.endpoint}
        engines = {}
        for _ in range(2):
            life = stack.enter_context(contextlib.ExitStack())
            engines[life.enter_context(replica(**traced, **{"fake.itl_s": 0.02}))] = life
        sites = {"home": {"endpoints": list(engines)}}
        at = stack.enter_context(router(tmp_path, sites, tracing={"endpoint": there.endpoint}))
        with SyncClient(at) as asking:
            until_up(asking, *engines)
        messages = stream(at, "7", 300, CAME)
        next(messages)
        doomed = next(address for address in engines if _runs(address))
        engines[doomed].close()
        assert sum(len(m.outputs.text.split()) for m in messages) > 0
        wait_until(lambda: len([s for s in there.spans if s.service == "spillway-router"]) == 3)
        wait_until(lambda: any(s.service == "spillway-replica" for s in there.spans))
        assert set(there.traces()) == {TRACE}
        spans = {span.id: span for span in there.spans}
        (request,) = (s for s in spans.values() if s.parent == SPAN)
        attempts = sorted(
            (s for s in spans.values() if s.parent == request.id), key=lambda s: s.start_ns
        )
        assert [s.attributes["spillway.attempt.end"] for s in attempts] == ["unreachable", "ok"]
        (answer,) = (s for s in spans.values() if s.service == "spillway-replica")
        assert answer.parent == attempts[1].id
        assert (answer.kind, answer.state) == ("SERVER", "v=1")
        assert request.attributes["gen_ai.usage.output_tokens"] == 300


def _runs(address):
    with grpc.insecure_channel(address) as channel:
        watch = load_pb2_grpc.LoadStub(channel).Watch(
            load_pb2.WatchLoadRequest(max_silence_ms=50), timeout=DEADLINE_S
        )
        report = next(watch)
        watch.cancel()
        return report.running_requests > 0


def test_what_a_router_does_is_seen_where_only_it_reports(tmp_path):
    """A plain engine hears of the trace, and whoever sends no trace begins one."""
    with collector() as there, replica() as engine:
        sites = {"home": {"endpoints": [engine]}}
        with router(tmp_path, sites, tracing={"endpoint": there.endpoint}) as at:
            with SyncClient(at) as asking:
                until_up(asking, engine)
                asking.generate("secret 7", max_new_tokens=3)
            wait_until(lambda: len(there.spans) == 2)
        assert {span.service for span in there.spans} == {"spillway-router"}
        assert not any("secret" in span.text for span in there.spans)


def test_the_environment_is_enough(tmp_path, monkeypatch):
    """As OpenTelemetry has it, for routers and engines alike; another collector does not matter."""
    with collector() as there:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", there.endpoint)
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        with replica() as engine, router(tmp_path, {"home": {"endpoints": [engine]}}) as at:
            with SyncClient(at) as asking:
                until_up(asking, engine)
                asking.generate("7", max_new_tokens=3)
            wait_until(lambda: len(there.spans) == 3)
        assert len(there.traces()) == 1


def test_a_collector_that_is_away_holds_up_no_process(tmp_path):
    """Streams are answered, and when one comes at last, what comes then is seen."""
    away = {"endpoint": "http://127.0.0.1:1", "queue_max": 2}
    with replica(**{"tracing.endpoint": "http://127.0.0.1:1"}) as engine:
        sites = {"home": {"endpoints": [engine]}}
        with router(tmp_path, sites, tracing=away) as at, SyncClient(at) as asking:
            until_up(asking, engine)
            for number in range(20):
                assert asking.generate(str(number), max_new_tokens=3).num_tokens == 3


ASKS = """
import asyncio, sys
from opentelemetry import trace
from spillway.client import Client, SyncClient
from wire.tracing.settings import TracingSettings
from wire.tracing.tracer import open_tracer

tracer = open_tracer(TracingSettings(), "program")
tracer.take_process()

async def ask(address):
    async with Client(address, direct="direct" in sys.argv) as client:
        await client.generate("7", max_new_tokens=3, session="s")

with trace.get_tracer("mine").start_as_current_span("mine"):
    asyncio.run(ask(sys.argv[1]))
    with SyncClient(sys.argv[1]) as client, client.stream("7", max_new_tokens=50) as stream:
        next(stream)
tracer.close()
"""


def test_a_program_with_a_tracer_sees_its_answers_in_its_own_trace(tmp_path, monkeypatch):
    """Below what it was doing, down to the replica; an answer that it left early is no error."""
    with collector() as there, replica() as engine:
        with router(tmp_path, {"home": {"endpoints": [engine]}}) as silent:
            with SyncClient(silent) as asking:
                until_up(asking, engine)
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", there.endpoint)
            subprocess.run([sys.executable, "-c", ASKS, silent], check=True, timeout=4 * DEADLINE_S)
        by_name = {}
        for span in there.spans:
            by_name.setdefault(span.name, []).append(span)
        (mine,) = by_name["mine"]
        whole, left = sorted(by_name["text_completion"], key=lambda span: span.start_ns)
        assert {span.service for span in there.spans} == {"program"}
        assert whole.parent == left.parent == mine.id
        assert not whole.failed
        assert not left.failed
        assert whole.kind == "CLIENT"
        assert whole.attributes["gen_ai.usage.output_tokens"] == 3
        assert whole.attributes["spillway.site"] == "home"
        assert whole.attributes["gen_ai.conversation.id"] == "s"
        assert whole.attributes["server.address"] == "127.0.0.1"
        assert whole.event("spillway.first_token") == {}


def test_the_command_reports_what_it_asks_for(tmp_path, monkeypatch):
    """From the command to the replica in one trace, each level below the one above."""
    with collector() as there:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", there.endpoint)
        with replica() as engine, router(tmp_path, {"home": {"endpoints": [engine]}}) as at:
            with SyncClient(at) as asking:
                until_up(asking, engine)
            command = [sys.executable, "-m", "spillway", "generate", "7", "--address", at]
            subprocess.run(command, check=True, timeout=4 * DEADLINE_S, capture_output=True)
            wait_until(lambda: len(there.spans) == 4)
        spans = {span.id: span for span in there.spans}
        assert len(there.traces()) == 1
        (last,) = (s for s in there.spans if s.service == "spillway-replica")
        way = [last]
        while way[-1].parent in spans:
            way.append(spans[way[-1].parent])
        services = ["spillway-replica", "spillway-router", "spillway-router", "spillway-client"]
        assert [span.service for span in way] == services
