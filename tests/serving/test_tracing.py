"""What a replica reports of its answers."""

import asyncio

import grpc
import pytest

from serving.engine import EngineDeadError
from serving.engine_arguments import engine_arguments
from serving.fake_engine import FakeEngine, FakeSettings
from serving.settings import SettingsError, read_settings
from serving.standalone import serve_standalone
from tests.collector import collector
from tests.waiting import until
from wire.tracing.settings import TracingSettings
from wire.tracing.tracer import open_tracer
from wire.vllm import inference_pb2 as pb
from wire.vllm import inference_pb2_grpc

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CAME = (("traceparent", f"00-{TRACE}-{SPAN}-01"), ("tracestate", "v=1"))


class Hearing(FakeEngine):
    """Remembers what it was asked."""

    asked = ()
    fails = None

    async def generate(self, generation):
        self.asked = (*self.asked, generation)
        async for output in super().generate(generation):
            yield output
            if self.fails is not None:
                raise self.fails


@pytest.fixture
async def served(monkeypatch):
    """An engine, a stub to ask it, and where it reports."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    engine = Hearing(FakeSettings(itl_s=0.01), served_names=("fake",))
    with collector() as there:
        tracer = open_tracer(TracingSettings(there.endpoint), "spillway-replica")
        server = await serve_standalone(engine, requests_max=2, tracer=tracer)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            yield engine, inference_pb2_grpc.InferenceStub(channel), there
        await server.stop()
        tracer.close()


def ask(text="17", max_new_tokens=3, **fields):
    stopping = pb.StoppingCriteria(max_new_tokens=max_new_tokens)
    return pb.GenerateRequest(text=text, stopping=stopping, **fields)


async def test_an_answer_is_a_span_below_whoever_asked(served):
    """With the first token and the usage; the engine is told where it is."""
    engine, stub, there = served
    metadata = (*CAME, ("x-spillway-operation", "chat"), ("x-spillway-request-id", "r-1"))
    asked = ask("1 secret", session_id="s", request_id="r-1.1")
    assert [chunk async for chunk in stub.GenerateStream(asked, metadata=metadata)]
    (span,) = await there.until_spans(1)
    assert (span.trace, span.parent, span.kind, span.state) == (TRACE, SPAN, "SERVER", "v=1")
    assert span.name == "chat fake"
    said = span.attributes
    assert said["gen_ai.usage.output_tokens"] == 3
    assert said["gen_ai.usage.input_tokens"] == len("1 secret")
    assert said["gen_ai.response.finish_reasons"] == ["length"]
    assert said["gen_ai.response.time_to_first_chunk"] >= 0
    assert said["gen_ai.conversation.id"] == "s"
    assert (said["spillway.request.id"], said["spillway.attempt.id"]) == ("r-1", "r-1.1")
    assert span.event("spillway.first_token") == {}
    assert not span.failed
    assert "secret" not in span.text
    (generation,) = engine.asked
    assert f"{generation.trace.span_id:016x}" == span.id


async def test_a_whole_answer_is_one_as_well(served):
    """Its tokens are counted all the same."""
    _, stub, there = served
    await stub.Generate(ask())
    (span,) = await there.until_spans(1)
    assert span.attributes["gen_ai.usage.output_tokens"] == 3
    assert span.parent == ""


async def test_refusals_and_failures_say_so(served):
    """A model that is not served, a replica that is full, an engine that dies."""
    engine, stub, there = served
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.Generate(ask(model="other"))
    (span,) = await there.until_spans(1, error_type="NOT_FOUND")
    assert span.failed
    calls = [stub.GenerateStream(ask(max_new_tokens=5_000)) for _ in range(2)]
    for call in calls:
        await call.read()
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.Generate(ask())
    assert await there.until_spans(1, error_type="RESOURCE_EXHAUSTED")
    for call in calls:
        call.cancel()
    gone = await there.until_spans(2, spillway_attempt_end="cancelled")
    assert not any(span.failed for span in gone)
    await until(lambda: len(there.spans) == 4)
    engine.fails = EngineDeadError()
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.Generate(ask())
    assert await there.until_spans(1, error_type="UNAVAILABLE")
    engine.fails = ZeroDivisionError()  # a defect is no client that has gone
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.Generate(ask())
    assert await there.until_spans(1, error_type="UNKNOWN")


async def test_whoever_asks_makes_no_span_larger_than_others(served):
    """A batch that a collector does not take is lost for everybody in it."""
    _, stub, there = served
    with pytest.raises(grpc.aio.AioRpcError):
        await stub.Generate(ask(model="x" * 1_000_000))
    (span,) = await there.until_spans(1)
    assert len(span.text) < 10_000


async def test_a_parent_that_is_none_is_none(served):
    """The answer is the same, and its trace its own."""
    _, stub, there = served
    answers = await asyncio.gather(
        stub.Generate(ask(), metadata=(("traceparent", "00-1-2-01"),)), stub.Generate(ask())
    )
    assert answers[0].outputs.text == answers[1].outputs.text
    assert {span.parent for span in await there.until_spans(2)} == {""}


async def test_without_a_collector_an_engine_hears_of_the_trace_all_the_same():
    """It may have one of its own."""
    engine = Hearing(FakeSettings(itl_s=0), served_names=("fake",))
    server = await serve_standalone(engine)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        await inference_pb2_grpc.InferenceStub(channel).Generate(ask(), metadata=CAME)
    await server.stop()
    assert engine.asked[0].trace.metadata == CAME


def test_vllm_reports_where_its_replica_does():
    """Unless a site says otherwise for vLLM."""

    def told(environment, **settings):
        read = read_settings({"model": "m", **settings})
        known = {"otlp_traces_endpoint"}
        found = engine_arguments(read, known, on_cpu=True, environment=environment)
        return found.get("otlp_traces_endpoint")

    assert told({}) is None
    assert told({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://e:1"}) == "http://e:1"
    assert told({}, **{"tracing.endpoint": "http://c:1"}) == "http://c:1"
    own = {
        "tracing.endpoint": "http://c:1",
        "vllm.arguments": {"otlp_traces_endpoint": "http://v:1"},
    }
    assert told({}, **own) == "http://v:1"


@pytest.mark.parametrize("endpoint", ["c:1", "http://c", "http://key@c:1", "http://c:1/v1"])
def test_a_collector_that_cannot_be_meant_is_refused(endpoint):
    """By the name of the setting."""
    with pytest.raises(SettingsError, match=r"tracing\.endpoint"):
        read_settings({"tracing.endpoint": endpoint})
