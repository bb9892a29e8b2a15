"""The asynchronous client streams, cancels cleanly and says what went wrong."""

import asyncio

import pytest

from spillway import client as sw
from spillway.client import Client, Finish, FinishReason

IDS = {"output_token_ids": True}


@pytest.fixture
async def client(router):
    async with Client(router.address) as found:
        yield found


async def test_a_stream_yields_the_chunks_in_order(client, router):
    """Text, tokens, the prompt's facts and the end arrive where they belong."""
    chunks = [chunk async for chunk in client.stream("count 3", session="s-1", **IDS)]
    assert [chunk.text for chunk in chunks] == ["0 ", "1 ", "2 "]
    assert [chunk.token_ids for chunk in chunks] == [(0,), (1,), (2,)]
    assert chunks[0].prompt.num_tokens == 7
    assert chunks[1].prompt is None
    assert chunks[1].finish is None
    assert chunks[2].finish == Finish(FinishReason.STOP, 3, stop_string="!")
    assert router.requests[0].session_id == "s-1"


async def test_the_ending_says_where_the_answer_came_from(client):
    """The router's trailers are there once the stream is complete, not before."""
    stream = client.stream("count 1", request_id="mine")
    async with stream:
        assert stream.ending is None
        async for _ in stream:
            pass
    assert stream.ending == sw.Ending("r-mine", "cellar", 2)


async def test_an_answer_joins_its_sequences(client):
    """Chunks of several sequences come mixed, and the answer has each whole."""
    answer = await client.generate("count 4", num_sequences=2)
    assert [one.text for one in answer.sequences] == ["0 2 ", "1 3 "]
    assert answer.text == "0 2 "
    assert answer.ending.site == "cellar"


async def test_leaving_a_loop_cancels_the_call(client, router):
    """A break is enough: nobody holds the stream any more."""
    async for _ in client.stream("forever"):
        break
    await asyncio.to_thread(router.wait_until_open, 0)


async def test_an_exception_in_the_loop_cancels_the_call(client, router):
    """What goes wrong in the loop's body does not leave the engine working."""

    async def fail() -> None:
        async for _ in client.stream("forever"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    await asyncio.to_thread(router.wait_until_open, 0)


async def test_cancelling_the_task_cancels_the_call(client, router):
    """The task ends as cancelled, and so does the call."""

    async def read() -> None:
        async for _ in client.stream("forever"):
            pass

    task = asyncio.create_task(read())
    await asyncio.to_thread(router.wait_until_open, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.to_thread(router.wait_until_open, 0)


async def test_cancelling_the_stream_ends_the_loop(client, router):
    """Another task may end a stream; its reader's loop just ends."""
    stream = client.stream("forever")
    seen = 0
    async for _ in stream:
        seen += 1
        if seen == 2:
            asyncio.get_running_loop().call_soon(stream.cancel)
    assert seen >= 2
    assert stream.ending is None
    await asyncio.to_thread(router.wait_until_open, 0)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("INVALID_ARGUMENT", sw.BadRequestError),
        ("NOT_FOUND", sw.NotFoundError),
        ("ALREADY_EXISTS", sw.DuplicateRequestError),
        ("RESOURCE_EXHAUSTED", sw.OverloadedError),
        ("UNAVAILABLE", sw.UnavailableError),
        ("DEADLINE_EXCEEDED", sw.DeadlineError),
        ("CANCELLED", sw.CancelledError),
        ("ABORTED", sw.AbortedError),
        ("UNIMPLEMENTED", sw.UnsupportedError),
        ("INTERNAL", sw.ServerError),
    ],
)
async def test_a_status_becomes_its_exception(client, code, kind):
    """One type for each way to fail, all of them SpillwayErrors."""
    with pytest.raises(kind) as caught:
        await client.generate(f"fail {code}")
    assert caught.value.code.name == code
    assert isinstance(caught.value, sw.SpillwayError)


async def test_details_of_a_status_are_on_the_exception(client):
    """Which field is wrong; when to come back."""
    with pytest.raises(sw.BadRequestError, match="refused") as bad:
        await client.generate("fail INVALID_ARGUMENT")
    assert bad.value.violations == (sw.Violation("sampling.top_p", "is 3"),)
    with pytest.raises(sw.OverloadedError) as overloaded:
        await client.generate("fail RESOURCE_EXHAUSTED")
    assert overloaded.value.retry_after_s == 1.5


async def test_a_failed_stream_names_its_request(client):
    """The ending of a failure tells which request to look for, and where it ran."""
    with pytest.raises(sw.AbortedError) as caught:
        await client.generate("fail ABORTED", request_id="mine")
    assert caught.value.ending == sw.Ending("r-mine", "cellar", 2)


async def test_a_deadline_ends_a_stream(client, router):
    """The answer that does not end is given up, and the server hears of it."""
    with pytest.raises(sw.DeadlineError):
        await client.generate("forever", deadline_s=0.2)
    await asyncio.to_thread(router.wait_until_open, 0)


async def test_nobody_there_is_said_in_one_line():
    """The address is named, and no gRPC internals."""
    async with Client("127.0.0.1:1") as client:
        with pytest.raises(sw.UnavailableError, match=r"^nobody answers at 127\.0\.0\.1:1: [\w ]+"):
            await client.generate("count 1")


async def test_a_question_that_nobody_answers_is_the_last_one_asked_there(router):
    """The next one goes to the next address, as the next attempt of an answer does."""
    async with Client(["127.0.0.1:1", router.address]) as client:
        with pytest.raises(sw.UnavailableError, match=r"127\.0\.0\.1:1"):
            await client.drain("ridge")
        assert await client.drain("ridge") == 3


async def test_connections_and_streams_are_bounded(router):
    """More streams than there are places wait for one, and share the connections."""
    async with Client(router.address, connections=2, streams_max=3) as client:
        streams = [client.stream("forever") for _ in range(3)]
        for stream in streams:
            await anext(stream)
        fourth = client.stream("count 1", deadline_s=0.2)
        with pytest.raises(sw.DeadlineError, match="before the request could be sent"):
            await anext(fourth)
        assert len(client._connections) == 2
        streams[0].cancel()
        assert (await client.generate("count 1")).text == "0 "
        for stream in streams:
            stream.cancel()


async def test_a_stream_cancelled_before_it_was_sent_gives_its_place_back(router):
    """It never runs, and its loop ends."""
    async with Client(router.address, streams_max=1) as client:
        first = client.stream("forever")
        await anext(first)
        waiting = client.stream("forever")
        asked = asyncio.create_task(anext(waiting, None))
        await asyncio.sleep(0)
        waiting.cancel()
        first.cancel()
        assert await asked is None
        assert (await client.generate("count 1", deadline_s=30)).text == "0 "


async def test_metadata_carries_the_class_and_the_tenant(client, router):
    """What the wire's messages have no field for."""
    await client.generate("count 1", slo="interactive", tenant="lab")
    assert router.metadata[0]["x-spillway-slo"] == "interactive"
    assert router.metadata[0]["x-spillway-tenant"] == "lab"


async def test_the_fleet_can_be_asked(client, router):
    """Explain, watch, drain and undrain, and the models that are served."""
    decision = await client.explain("hello", session="s")
    assert (decision.site, router.requests[-1].text) == ("cellar", "hello")
    async for state in client.watch_fleet(0.01):
        assert [site.name for site in state.sites] == ["cellar", "ridge"]
        break
    assert await client.drain("ridge") == 3
    await client.undrain("ridge")
    assert router.drained == []
    with pytest.raises(sw.NotFoundError, match="no site nowhere"):
        await client.drain("nowhere")
    assert await client.models() == ["tiny"]


async def test_a_replica_says_its_model_itself(replica):
    """What serves no fleet is asked by the engine's own API."""
    async with Client(replica.address) as client:
        assert await client.models() == ["tiny"]
        with pytest.raises(sw.UnsupportedError, match="does not offer this"):
            await client.drain("ridge")
