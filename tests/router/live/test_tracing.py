"""What a trace shows of a request: its attempts, why each went where it did, and how it ended."""

import asyncio
from dataclasses import replace

import grpc
import pytest

from router.policy.fleet import Fleet, Limits, Price, Site, SiteKind, SloClass
from router.policy.units import NS_PER_MS, NS_PER_S
from serving.fake_engine import TOKENIZER, FakeEngine, FakeSettings
from serving.identity import tokenizer_digest
from serving.lease_door import LeaseTerms
from serving.standalone import serve_standalone
from tests.collector import collector
from tests.router.live.conftest import CLOUD, HOME, SETTINGS, address, ask, engine, fleet_of, route
from tests.router.live.counting import counted_on
from tests.router.live.scripted import drained, fails, says, scripted, stays_silent
from tests.waiting import until
from wire.lease_keys import KEYS_ENV
from wire.spillway.v1 import fleet_pb2
from wire.spillway.v1.resume import IDENTITY_KEY, RESUME_KEY, RESUME_TEXT_KEY
from wire.tracing.settings import TracingSettings
from wire.vllm.inference_pb2 import GenerateRequest, StoppingCriteria, TokenIds

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Spans do not wait for company."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")


@pytest.fixture
def there():
    """A collector."""
    with collector() as found:
        yield found


def to(there, **tracing):
    """The settings of a router that reports there."""
    return replace(SETTINGS, tracing=TracingSettings(there.endpoint, **tracing))


def by_kind(spans):
    """The one request of some spans, and its attempts in their order."""
    (request,) = (span for span in spans if span.kind == "SERVER")
    attempts = [span for span in spans if span.kind == "CLIENT"]
    return request, sorted(attempts, key=lambda s: s.attributes["spillway.attempt.number"])


@pytest.mark.usefixtures("transport")
async def test_a_request_is_a_span_and_so_is_its_attempt(there):
    """With what was asked, where it went and why, the first token, the end and the usage."""
    async with engine(itl_s=0) as server, route({"home": [address(server)]}, to(there)) as routed:
        call = routed.inference.GenerateStream(
            ask("17 secret", 5, model="fake", session_id="s1", request_id="mine"),
            metadata=(("x-spillway-tenant", "acme"), ("x-spillway-slo", "batch")),
        )
        assert len([message async for message in call]) == 5
        request, (attempt,) = by_kind(await there.until_spans(2))
        assert request.service == "spillway-router"
        assert (request.name, attempt.name) == ("text_completion fake", "text_completion fake")
        assert (request.parent, attempt.parent) == ("", request.id)
        assert request.trace == attempt.trace
        said = request.attributes
        assert said["gen_ai.operation.name"] == "text_completion"
        assert said["gen_ai.provider.name"] == "spillway"
        assert said["gen_ai.request.model"] == "fake"
        assert said["gen_ai.request.max_tokens"] == 5
        assert said["gen_ai.request.stream"] is True
        assert said["gen_ai.conversation.id"] == "s1"
        assert said["gen_ai.response.id"] == "mine"
        assert said["gen_ai.response.finish_reasons"] == ["length"]
        assert said["gen_ai.usage.output_tokens"] == 5
        assert said["gen_ai.usage.input_tokens"] == len("17 secret")  # by the fake tokenizer
        assert said["gen_ai.response.time_to_first_chunk"] > 0
        assert said["rpc.response.status_code"] == "OK"
        assert (said["spillway.tenant"], said["spillway.slo"]) == ("acme", "batch")
        assert (said["spillway.attempts"], said["spillway.site"]) == (1, "home")
        trailers = dict(await call.trailing_metadata())
        assert said["spillway.request.id"] == trailers["x-spillway-request-id"]
        assert said["spillway.router"] == routed.router.id
        decided = request.event("spillway.decision")
        assert decided["spillway.decision.rule"] == attempt.attributes["spillway.decision.rule"]
        assert "home" in decided["spillway.decision.reason"]
        assert request.event("spillway.first_token") == {}
        said = attempt.attributes
        assert (said["server.address"], said["server.port"]) == ("127.0.0.1", server.port)
        assert (said["spillway.site"], said["spillway.attempt.end"]) == ("home", "ok")
        assert (said["spillway.attempt.mode"], said["spillway.attempt.hedge"]) == ("fresh", False)
        assert said["gen_ai.usage.output_tokens"] == 5
        assert "error.type" not in said
        assert request.start_ns <= attempt.start_ns <= attempt.end_ns <= request.end_ns
        assert not any("secret" in span.text for span in there.spans)


@pytest.mark.usefixtures("transport")
async def test_a_stream_that_goes_on_elsewhere_is_one_trace_of_two_attempts(there):
    """The first says how it failed, the second from where it goes on."""
    async with engine(itl_s=0.02) as home, engine(itl_s=0) as cloud:
        servers = {"home": [address(home)], "cloud": [address(cloud)]}
        async with route(servers, to(there), fleet_of(HOME, CLOUD)) as routed:
            call = routed.inference.GenerateStream(ask("7", 500))
            await call.read()
            await home.stop()
            assert [message async for message in drained(call)]
            request, (first, second) = by_kind(await there.until_spans(3))
            assert {first.parent, second.parent} == {request.id}
            assert first.failed
            assert first.attributes["error.type"] == "unreachable"
            assert second.attributes["spillway.attempt.mode"] == "continue"
            delivered = second.attributes["spillway.resume.delivered_tokens"]
            assert 0 < delivered < 500
            assert second.attributes["gen_ai.usage.output_tokens"] == 500 - delivered
            assert request.attributes["gen_ai.usage.output_tokens"] == 500
            assert request.attributes["spillway.resumed"] == 1
            assert not request.failed
            assert len(there.traces()) == 1


async def test_what_a_client_came_with_counts_as_delivered(there):
    """Its answer began at another router; the attempt gives the rest of it."""
    begun = counted_on("7", 10)
    asked = GenerateRequest(
        token_ids=TokenIds(ids=b"7" + begun.encode()), stopping=StoppingCriteria(max_new_tokens=20)
    )
    origin = f"fake-x,{tokenizer_digest(TOKENIZER)},exact,"
    metadata = ((RESUME_KEY, "10"), (RESUME_TEXT_KEY, "10"), (IDENTITY_KEY, origin))
    async with (
        engine(itl_s=0, weights="x") as server,
        route({"home": [address(server)]}, to(there)) as routed,
    ):
        await routed.stream(asked, metadata=metadata)
        request, (attempt,) = by_kind(await there.until_spans(2))
        assert attempt.attributes["spillway.attempt.mode"] == "continue"
        assert attempt.attributes["spillway.resume.delivered_tokens"] == 10
        assert attempt.attributes["gen_ai.usage.output_tokens"] == 20
        assert request.attributes["gen_ai.usage.output_tokens"] == 30


async def test_a_trace_goes_through_two_routers(there):
    """From a plain client to the endpoint, with the state of those before."""
    async with scripted(says("x")) as server:
        async with route({"home": [server.address]}, to(there)) as below:
            here = f"127.0.0.1:{below.router.port}"
            async with route({"home": [here]}, to(there)) as above:
                came = (("traceparent", PARENT), ("tracestate", "v=1"))
                await above.stream(ask(), metadata=came)
        sent = server.calls[0].metadata
        spans = {span.id: span for span in await there.until_spans(4)}
        assert {span.trace for span in spans.values()} == {TRACE}
        assert {span.state for span in spans.values()} == {"v=1"}
        _, trace, last, flags = sent["traceparent"].split("-")
        assert (trace, flags, sent["tracestate"]) == (TRACE, "01", "v=1")
        way = []
        while last in spans:
            way.append(spans[last].kind)
            last = spans[last].parent
        assert way == ["CLIENT", "SERVER", "CLIENT", "SERVER"]
        assert last == SPAN


@pytest.mark.parametrize("parent", ["00-1-2-01", f"00-{'0' * 32}-{SPAN}-01", "nonsense"])
async def test_a_parent_that_is_none_begins_a_trace_of_its_own(there, parent):
    """Its request is answered as any other."""
    async with scripted(says("x")) as server, route({"home": [server.address]}, to(there)) as one:
        came = (("traceparent", parent), ("tracestate", "v=1"))
        assert await one.stream(ask(), metadata=came)
        request, _ = by_kind(await there.until_spans(2))
        assert (request.parent, request.state) == ("", "")
        assert server.calls[0].metadata["traceparent"].split("-")[1] == request.trace
        assert "tracestate" not in server.calls[0].metadata


async def test_a_trace_that_is_not_sampled_goes_on_unseen(there):
    """The endpoint is told that nobody looks, and nothing is reported."""
    async with scripted(says("x")) as server, route({"home": [server.address]}, to(there)) as one:
        await one.stream(ask(), metadata=(("traceparent", f"00-{TRACE}-{SPAN}-00"),))
        await one.stream(ask(), metadata=(("traceparent", PARENT),))
        assert len(await there.until_spans(2)) == 2
        unseen, seen = (call.metadata["traceparent"].split("-") for call in server.calls)
        assert (unseen[1], unseen[3]) == (TRACE, "00")
        assert (seen[1], seen[3]) == (TRACE, "01")


async def test_a_hedge_is_an_attempt_beside_the_other(there):
    """Whose loser has failed in nothing."""
    slo = SloClass("chat", NS_PER_S, 5 * NS_PER_S, hedge_share=1.0)
    free = Site("cloud", SiteKind.RENTED, price=Price(committed_replicas=1))
    async with scripted(stays_silent) as home, scripted(says("x", "y")) as cloud:
        servers = {"home": [home.address], "cloud": [cloud.address]}
        async with route(servers, to(there), Fleet((HOME, free), (slo,), "chat")) as routed:
            await routed.stream(ask(session_id="s"), timeout=60.0)
            _, (first, second) = by_kind(await there.until_spans(3))
            assert first.attributes["spillway.attempt.end"] == "cancelled"
            assert not first.failed
            assert second.attributes["spillway.attempt.hedge"] is True
            assert second.attributes["spillway.attempt.end"] == "ok"


async def test_what_waits_in_the_router_is_seen_to(there):
    """As a span below its request, with the reason; its attempt begins when the wait ends."""
    slo = SloClass("chat", ttft_ns=400 * NS_PER_MS, itl_ns=NS_PER_S)
    fleet = Fleet((HOME,), (slo,), "chat", Limits(patience_ns=60 * NS_PER_S))
    async with (
        engine(itl_s=0.005, max_running=2) as server,
        route({"home": [address(server)]}, to(there), fleet) as routed,
    ):
        await routed.stream(ask())
        await asyncio.gather(*(routed.stream(ask(str(number))) for number in range(10)))
        spans = await there.until_said(11, {"rpc.response.status_code": "OK"})
        await until(lambda: any(span.kind == "INTERNAL" for span in there.spans))
        queue = next(span for span in there.spans if span.kind == "INTERNAL")
        assert queue.name == "spillway queue"
        assert queue.attributes["spillway.decision.reason"]
        (waited,) = (span for span in spans if span.id == queue.parent)
        (attempt,) = (s for s in there.spans if s.parent == waited.id and s.kind == "CLIENT")
        assert queue.end_ns <= attempt.start_ns


async def test_what_fails_says_so(there):
    """A request that nobody answers, and one that may not come in."""
    async with (
        scripted(fails(grpc.StatusCode.INTERNAL)) as server,
        route({"home": [server.address]}, to(there)) as routed,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await routed.stream(ask())
        with pytest.raises(grpc.aio.AioRpcError):
            await routed.stream(ask(), metadata=(("x-spillway-attempts-left", "no"),))
        attempt, *_ = await there.until_spans(1, error_type="failed")
        assert attempt.failed
        (request,) = await there.until_spans(1, error_type=failed.value.code().name)
        assert request.id == attempt.parent
        assert request.event("spillway.decision")
        (refused,) = await there.until_spans(1, error_type="INVALID_ARGUMENT")
        assert refused.attributes["rpc.method"] == "vllm.Inference/GenerateStream"


async def test_a_client_that_goes_is_no_error(there):
    """Its request and its attempt end, and neither has failed."""
    async with (
        scripted(stays_silent) as server,
        route({"home": [server.address]}, to(there)) as routed,
    ):
        call = routed.inference.GenerateStream(ask())
        await until(lambda: server.open == 1)
        call.cancel()
        request, (attempt,) = by_kind(await there.until_spans(2))
        assert not request.failed
        assert not attempt.failed
        assert attempt.attributes["spillway.attempt.end"] == "cancelled"
        assert request.attributes["rpc.response.status_code"] == "CANCELLED"


async def test_a_collector_that_is_not_there_harms_nothing(monkeypatch):
    """Streams are answered as they are, and the router ends."""
    monkeypatch.setattr("wire.tracing.otel.CLOSE_S", 0.1)
    settings = replace(SETTINGS, tracing=TracingSettings("http://127.0.0.1:1", queue_max=4))
    async with engine(itl_s=0) as server, route({"home": [address(server)]}, settings) as routed:
        answers = await asyncio.gather(*(routed.stream(ask(str(n))) for n in range(20)))
        assert all(len(answer) == 5 for answer in answers)


async def test_an_answer_that_comes_whole_is_traced_as_well(there):
    """Its tokens are counted from its one message."""
    async with engine(itl_s=0) as server, route({"home": [address(server)]}, to(there)) as routed:
        await routed.inference.Generate(ask("17", 5))
        request, _ = by_kind(await there.until_spans(2))
        assert request.attributes["gen_ai.request.stream"] is False
        assert request.attributes["gen_ai.usage.input_tokens"] == 2
        assert request.attributes["gen_ai.usage.output_tokens"] == 5


async def test_a_longer_answer_says_no_more(there):
    """Spans and their events are of requests and attempts, and of no message."""
    async with engine(itl_s=0) as server, route({"home": [address(server)]}, to(there)) as routed:
        for tokens in (1, 300):
            await routed.stream(ask("7", tokens))
        spans = await there.until_spans(4)
    said = {}
    for span in spans:
        counts = said.setdefault(span.trace, [0, 0, 0])
        counts[0] += 1
        counts[1] += len(span.events)
        counts[2] += len(span.attributes)
    short, long = said.values()
    assert short == long


async def test_a_placement_is_a_span_with_its_reason(there, monkeypatch):
    """The client goes to the endpoint by itself, and its replica's span is not below this one."""
    monkeypatch.setenv(KEYS_ENV, "k" * 32)
    server = await serve_standalone(
        FakeEngine(FakeSettings(itl_s=0), ("fake",)), terms=LeaseTerms((b"k" * 32,))
    )
    try:
        async with route({"home": [address(server)]}, to(there)) as routed:
            await until(lambda: all(e.takes_leases for e in routed.router._roster))
            asked = fleet_pb2.PlaceRequest(request=ask(session_id="s"))
            placed = await routed.fleet.Place(asked, metadata=(("traceparent", PARENT),))
            refused = fleet_pb2.PlaceRequest(request=ask(model="no-such"))
            with pytest.raises(grpc.aio.AioRpcError):
                await routed.fleet.Place(refused)
            (span, failed) = await there.until_said(2, {"rpc.method": "spillway.v1.Fleet/Place"})
            assert (span.trace, span.parent, span.kind) == (TRACE, SPAN, "SERVER")
            assert span.attributes["spillway.endpoint"] == placed.endpoint
            assert span.attributes["spillway.request.id"] == placed.request_id
            assert span.event("spillway.decision")["spillway.decision.reason"]
            assert failed.attributes["error.type"] == "NOT_FOUND"
            late = fleet_pb2.PlaceRequest(request=ask(), deadline_s=-1.0)
            with pytest.raises(grpc.aio.AioRpcError):
                await routed.fleet.Place(late)
            (not_let_in,) = await there.until_spans(1, error_type="INVALID_ARGUMENT")
            assert not_let_in.attributes["rpc.method"] == "spillway.v1.Fleet/Place"
            assert routed.router._sinks.traces == {}
    finally:
        await server.stop()
