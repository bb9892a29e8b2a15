"""Streams whose endpoint breaks off in the middle: each token once, or an honest end."""

import asyncio
import contextlib
import dataclasses

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from router.live.settings import DecisionLog
from router.live.timed_core import now_ns
from router.observe.decision_log import read_log
from router.observe.replay import replay
from router.policy.decision import Send
from router.policy.resume import Mode
from router.policy.units import NS_PER_S
from tests.router.live.conftest import SETTINGS, address, ask, at_rest, engine, pace, route
from tests.router.live.counting import counted_on, counts
from tests.router.live.scripted import drained, error_of, scripted
from tests.waiting import DEADLINE_S, until
from wire.spillway.v1 import fleet_pb2
from wire.vllm.inference_pb2 import (
    DecodingParameters,
    GenerateRequest,
    GenerateResponse,
    RandomSampling,
    ResponseOptions,
    StoppingCriteria,
)

pytestmark = pytest.mark.usefixtures("transport")

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
PENALTY = DecodingParameters(presence_penalty=0.5)


async def read(call):
    """All messages of a call, and its trailers."""
    messages = [message async for message in call]
    return messages, dict(await call.trailing_metadata())


def text_of(messages):
    return "".join(message.outputs.text for message in messages)


async def broken(call):
    """The texts of a call that fails, its error, and what the error says was delivered."""
    error, texts = await error_of(call)
    info = ErrorInfo()
    rpc_status.from_call(error).details[0].Unpack(info)
    return "".join(texts), error, dict(info.metadata)


async def test_a_stream_outlives_one_engine_after_another():
    """Three die under it, and its client sees one answer, counted to its end."""
    async with (
        engine(itl_s=0.05) as one,
        engine(itl_s=0.05) as two,
        engine(itl_s=0.05) as three,
        engine(itl_s=0.05) as four,
        route(
            {"home": [address(one), address(two)], "cloud": [address(three), address(four)]}
        ) as r,
    ):
        call = r.inference.GenerateStream(ask("41", 400))
        messages = []
        alive = [one, two, three, four]
        async for message in call:
            messages.append(message)
            if len(alive) > 1 and len(text_of(messages)) > 5 * (5 - len(alive)):
                dies = next(server for server in alive if server.replica.in_flight)
                alive.remove(dies)
                if len(alive) == 1:
                    pace(*alive, itl_s=0)
                dies.replica.engine.die()
                await r.until_up(len(alive))  # so that the next attempts go to none of the dead
        trailers = dict(await call.trailing_metadata())
        assert text_of(messages) == counted_on("41", 400)
        assert trailers["x-spillway-resumed"] == "3"
        assert messages[-1].outputs.finish_info.num_output_tokens == 400
        assert sum(message.outputs.num_tokens for message in messages) == 400
        assert [message.HasField("prompt_info") for message in messages].count(True) == 1
        await at_rest(r, one, two, three, four)


async def test_what_the_client_asked_for_is_what_it_gets():
    """Token ids where it asked for them, before the seam and after it."""
    response = ResponseOptions(output_token_ids=True, prompt_token_ids=True)
    async with (
        scripted(counts(breaks_after=10)) as bad,
        scripted(counts()) as good,
        route({"home": [bad.address], "cloud": [good.address]}) as routed,
    ):
        messages, _ = await read(routed.inference.GenerateStream(ask("7", 30, response=response)))
        ids = [token for message in messages for token in message.outputs.token_ids]
        assert bytes(ids).decode() == counted_on("7", 30)
        assert list(messages[0].prompt_info.token_ids) == [ord("7")]


async def test_the_next_endpoint_is_asked_for_the_rest_alone():
    """The prompt and what was delivered, smaller limits, and how much of it the client has."""
    request = ask("7", 30)
    request.stopping.min_new_tokens = 12
    async with (
        scripted(counts(breaks_after=10)) as bad,
        scripted(counts()) as good,
        route({"home": [bad.address], "cloud": [good.address]}) as routed,
    ):
        messages, _ = await read(routed.inference.GenerateStream(request))
    sent, metadata = GenerateRequest.FromString(good.calls[0].raw), good.calls[0].metadata
    assert bytes(sent.token_ids.ids).decode() == "7" + counted_on("7", 10)
    assert (sent.stopping.max_new_tokens, sent.stopping.min_new_tokens) == (20, 2)
    assert (metadata["x-spillway-resume"], metadata["x-spillway-resume-text"]) == ("10", "10")
    assert text_of(messages) == counted_on("7", 30)
    assert messages[-1].outputs.finish_info.num_output_tokens == 30


async def test_what_cannot_be_continued_is_replayed():
    """A plain server restores no penalty; the answer is made again and its beginning held back."""
    async with (
        scripted(counts(breaks_after=10)) as bad,
        scripted(counts()) as good,
        route({"home": [bad.address], "cloud": [good.address]}) as routed,
    ):
        call = routed.inference.GenerateStream(ask("7", 31, decoding=PENALTY))
        messages, trailers = await read(call)
    sent = GenerateRequest.FromString(good.calls[0].raw)
    assert (sent.text, sent.stopping.max_new_tokens) == ("7", 31)
    assert "x-spillway-resume" not in good.calls[0].metadata
    assert text_of(messages) == counted_on("7", 31)
    assert sum(message.outputs.num_tokens for message in messages) == 31
    assert messages[-1].outputs.finish_info.num_output_tokens == 31
    assert trailers["x-spillway-resumed"] == "1"


async def test_another_answer_is_never_spliced_on():
    """Replayed, the beginning came out otherwise: the client keeps what it has and is told."""
    async with (
        scripted(counts(breaks_after=10)) as bad,
        scripted(counts(bend=6)) as other,
        route({"home": [bad.address], "cloud": [other.address]}) as routed,
    ):
        call = routed.inference.GenerateStream(ask("7", 31, decoding=PENALTY))
        text, error, delivered = await broken(call)
    assert text == counted_on("7", 10)
    assert error.code() is grpc.StatusCode.ABORTED
    assert delivered == {"delivered_messages": "5", "delivered_tokens": "10"}
    assert "the answer is another one" in error.details()


async def test_what_is_drawn_without_a_seed_is_not_replayed():
    """It would come out otherwise: the end is honest at once."""
    request = ask("7", 31, decoding=PENALTY, temperature=1.0)
    async with (
        scripted(counts(breaks_after=10)) as bad,
        scripted(counts()) as other,
        route({"home": [bad.address], "cloud": [other.address]}) as routed,
    ):
        _, error, delivered = await broken(routed.inference.GenerateStream(request))
        assert delivered["delivered_tokens"] == "10"
        assert "unable to go on with this stream" in error.details()
        assert not other.calls


async def test_a_stream_goes_on_at_its_like_only():
    """Of the same name, and other weights: no client gets half an answer of each."""
    async with (
        engine(itl_s=0.02) as one,
        engine(itl_s=0, weights="others") as two,
        route({"home": [address(one)], "cloud": [address(two)]}) as routed,
    ):
        call = routed.inference.GenerateStream(ask("7", 500))
        begun = (await call.read()).outputs.text
        one.replica.engine.die()
        text, error, _ = await broken(drained(call))
        assert counted_on("7", 500).startswith(begun + text)
        assert error.code() is grpc.StatusCode.ABORTED
        assert "unable to go on with this stream" in error.details()


async def test_beyond_its_bound_a_stream_is_not_kept_and_says_so():
    """It goes on costing nothing; should it break, the tokens it has are counted still."""
    settings = dataclasses.replace(SETTINGS, resume_stream_bytes_max=100)
    async with (
        scripted(counts()) as good,
        scripted(counts(breaks_after=40)) as bad,
    ):
        async with route({"home": [good.address]}, settings) as routed:
            messages, trailers = await read(routed.inference.GenerateStream(ask("7", 60)))
            assert text_of(messages) == counted_on("7", 60)
            assert trailers["x-spillway-resumable"].startswith("no: it is over 100 bytes")
            assert not any(message.outputs.token_ids for message in messages)
            assert routed.router._inference._memory.used == 0
        async with route({"home": [bad.address], "cloud": [good.address]}, settings) as routed:
            _, error, delivered = await broken(routed.inference.GenerateStream(ask("7", 60)))
            assert delivered["delivered_tokens"] == "40"
            assert "the most kept of one stream" in error.details()


async def test_several_sequences_are_not_kept():
    """They cannot go on elsewhere, and the trailer says so from the start."""
    request = ask("7", 5, sampling=RandomSampling(num_sequences=2), temperature=1.0)
    async with engine(itl_s=0) as server, route({"home": [address(server)]}) as routed:
        messages, trailers = await read(routed.inference.GenerateStream(request))
        assert {message.outputs.index for message in messages} == {0, 1}
        assert trailers["x-spillway-resumable"] == "no: the request has several_sequences"


async def test_several_sequences_end_with_their_endpoint():
    """What came is counted, nobody else is asked, and the reason says what stood in the way."""
    request = ask("7", 60, sampling=RandomSampling(num_sequences=2), temperature=1.0)
    async with (
        scripted(counts(breaks_after=10)) as bad,
        scripted(counts()) as good,
        route({"home": [bad.address], "cloud": [good.address]}) as routed,
    ):
        text, error, delivered = await broken(routed.inference.GenerateStream(request))
        assert text == counted_on("7", 10)
        assert error.code() is grpc.StatusCode.ABORTED
        assert "several_sequences" in error.details()
        assert delivered["delivered_tokens"] == "10"
        assert "x-spillway-resume-token" not in dict(error.trailing_metadata())
        assert not good.calls


async def test_an_answer_that_only_lacks_its_end_gets_it_here():
    """All tokens came, the last message did not: there is nothing to ask anybody for."""

    async def script(raw, context):
        await counts(breaks_after=None)(raw, _AllButTheEnd(context))
        context.set_code(UNAVAILABLE)

    async with scripted(script) as bad, route({"home": [bad.address]}) as routed:
        messages, trailers = await read(routed.inference.GenerateStream(ask("7", 10)))
        assert text_of(messages) == counted_on("7", 10)
        assert messages[-1].outputs.finish_info.num_output_tokens == 10
        assert trailers["x-spillway-attempts"] == "1"


class _AllButTheEnd:
    """A context to which the last message is written without its end."""

    def __init__(self, context):
        self._context = context

    async def write(self, raw):
        response = GenerateResponse.FromString(raw)
        response.outputs.ClearField("finish_info")
        await self._context.write(response.SerializeToString())


async def test_a_client_that_goes_leaves_nothing_kept():
    """What was kept of its stream is given back, however it ended."""
    async with engine(itl_s=0.02) as server, route({"home": [address(server)]}) as routed:
        call = routed.inference.GenerateStream(ask("7", 500))
        await call.read()
        memory = routed.router._inference._memory
        assert memory.used
        call.cancel()
        await until(lambda: not memory.used)
        stopping = StoppingCriteria(max_new_tokens=3)
        await routed.inference.Generate(GenerateRequest(text="7", stopping=stopping))
        assert memory.used == 0


@pytest.mark.usefixtures("vigilant")
async def test_an_attempt_that_was_given_up_is_cancelled_and_aborted():
    """By the id it was sent with, as soon as the endpoint answers."""

    async def hangs(raw, context):
        await counts()(raw, _Hanging(context))

    async with (
        scripted(hangs) as stuck,
        scripted(counts()) as good,
        route({"home": [stuck.address], "cloud": [good.address]}) as routed,
    ):
        messages, trailers = await read(routed.inference.GenerateStream(ask("7", 30)))
        assert text_of(messages) == counted_on("7", 30)
        assert trailers["x-spillway-resumed"] == "1"
        sent = GenerateRequest.FromString(stuck.calls[0].raw)
        await until(lambda: stuck.aborted == [sent.request_id])
        await until(stuck.cancelled.is_set)
        await at_rest(routed, stuck, good)


class _Hanging:
    """A context that takes four messages and no more."""

    def __init__(self, context):
        self._context = context
        self._left = 4

    async def write(self, raw):
        if not self._left:
            await asyncio.Event().wait()
        self._left -= 1
        await self._context.write(raw)


async def test_a_client_that_reads_slowly_is_no_stalled_engine():
    """What waits to be read by the client has come from the endpoint."""
    async with engine(itl_s=0) as server, route({"home": [address(server)]}) as routed:
        call = routed.inference.GenerateStream(ask("7", 30_000))
        await call.read()
        (turn,) = routed.router._inference.turns
        await until(lambda: turn.attempt.is_writing)
        turn.attempt.moved_ns -= 60 * NS_PER_S
        await until(lambda: now_ns() - turn.attempt.moved_ns < NS_PER_S)  # it was looked at
        assert turn.attempt.given_up is None
        call.cancel()


async def test_a_site_that_drains_keeps_its_streams_for_a_while_and_then_hands_them_on():
    """Nobody sees an error, and nothing runs there any more."""
    settings = dataclasses.replace(SETTINGS, drain_timeout_s=0.3)
    async with (
        engine(itl_s=0.05) as one,
        engine(itl_s=0) as two,
        route({"home": [address(one)], "cloud": [address(two)]}, settings) as routed,
    ):
        calls = [routed.inference.GenerateStream(ask(str(n), 500)) for n in range(3)]
        reading = [asyncio.create_task(read(call)) for call in calls]
        await until(lambda: one.replica.in_flight == 3)
        short, _ = await read(routed.inference.GenerateStream(ask("7", 20)))
        await routed.fleet.Drain(fleet_pb2.DrainRequest(site="home"))
        assert len(short) > 1
        await until(lambda: one.replica.in_flight == 0)
        for number, (messages, trailers) in enumerate(await asyncio.gather(*reading)):
            assert text_of(messages) == counted_on(str(number), 500)
            assert trailers["x-spillway-resumed"] == "1"
        state = await routed.state()
        assert [site.failures for site in state.sites] == [0, 0]


async def test_streams_stay_at_the_last_endpoint_though_it_drains():
    """There is nowhere to go: they end where they are."""
    settings = dataclasses.replace(SETTINGS, drain_timeout_s=0.05)
    async with (
        engine(itl_s=0.02) as one,
        route({"home": [address(one)]}, settings) as routed,
    ):
        reading = asyncio.create_task(read(routed.inference.GenerateStream(ask("7", 120))))
        await until(lambda: one.replica.in_flight == 1)
        await routed.fleet.Drain(fleet_pb2.DrainRequest(site="home"))
        messages, trailers = await reading
        assert text_of(messages) == counted_on("7", 120)
        assert trailers["x-spillway-attempts"] == "1"


async def test_a_run_with_broken_streams_replays_identically(tmp_path):
    """How far each had come, and from what engine, is in the log beside the decision."""
    path = tmp_path / "decisions.jsonl"
    settings = dataclasses.replace(SETTINGS, decision_log=DecisionLog(path))
    async with (
        engine(itl_s=0.05) as one,
        engine(itl_s=0) as two,
        route({"home": [address(one)], "cloud": [address(two)]}, settings) as routed,
    ):
        calls = [routed.inference.GenerateStream(ask(str(n), 100)) for n in range(9)]
        reading = [asyncio.create_task(read(call)) for call in calls]
        await until(lambda: one.replica.in_flight > 5)
        one.replica.engine.die()
        for number, (messages, _) in enumerate(await asyncio.gather(*reading)):
            assert text_of(messages) == counted_on(str(number), 100)
        await routed.router.drain()
    events = list(read_log(path))
    resumed = [
        event
        for event in events
        if isinstance(event.decision, Send) and event.decision.mode is Mode.CONTINUE
    ]
    assert resumed
    assert list(replay(events)) == []


async def test_a_stream_waits_for_its_only_endpoint_to_come_back():
    """A replica that is restarted is met again by the streams that it broke."""
    settings = dataclasses.replace(SETTINGS, resume_wait_s=2 * DEADLINE_S)
    async with contextlib.AsyncExitStack() as stack:
        first = await stack.enter_async_context(engine(itl_s=0.05))
        where = address(first)
        routed = await stack.enter_async_context(route({"home": [where]}, settings))
        reading = asyncio.create_task(read(routed.inference.GenerateStream(ask("7", 200))))
        await until(lambda: any(t.attempt.messages > 5 for t in routed.router._inference.turns))
        await first.stop()
        await stack.enter_async_context(engine(port=first.port, itl_s=0))
        messages, trailers = await reading
        assert text_of(messages) == counted_on("7", 200)
        assert trailers["x-spillway-resumed"] == "1"
        assert (await routed.state()).open_streams == 0
