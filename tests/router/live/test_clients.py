"""Clients that cancel, vanish or stop reading, and that nothing of them remains."""

import asyncio
import dataclasses
import random

import grpc

from tests.router.live import http2
from tests.router.live.conftest import SETTINGS, address, ask, at_rest, ends, engine, route
from tests.router.live.scripted import fails, hangs, message, says, scripted, stays_silent
from tests.waiting import until, until_still

STREAM = "/vllm.Inference/GenerateStream"


async def test_a_cancel_reaches_the_endpoint_by_itself():
    """Before the first token and after it: no message has to come, and no silence to be noticed."""
    for script, reads in ((stays_silent, 0), (hangs, 1)):
        async with scripted(script) as server, route({"home": [server.address]}) as routed:
            call = routed.inference.GenerateStream(ask())
            for _ in range(reads):
                await call.read()
            await until(lambda server=server: server.open == 1)
            call.cancel()
            await until(server.cancelled.is_set)
            await at_rest(routed, server)
            assert ends(routed) == {"cancelled": 1}


async def test_a_cancelled_answer_is_cancelled_at_the_endpoint():
    async with scripted(stays_silent) as server, route({"home": [server.address]}) as routed:
        call = routed.inference.Generate(ask())
        await until(lambda: server.open == 1)
        call.cancel()
        await until(server.cancelled.is_set)
        await at_rest(routed, server)


async def test_a_client_that_vanishes_is_a_cancel():
    """Its connection closes without a word; the engine stops generating for it."""
    async with engine(itl_s=0.002) as server, route({"home": [address(server)]}) as routed:
        sent = http2.call(STREAM.encode(), ask(max_new_tokens=30_000).SerializeToString())
        await http2.exchange(routed.router.port, sent, lambda got: got.count(b"\x12\x01") > 3)
        await at_rest(routed, server)


async def test_a_client_that_stops_reading_stops_the_endpoint():
    """What the router holds for it is bounded by a window, not by the length of the answer."""
    sent = 0

    async def flood(_raw, context):
        nonlocal sent
        while True:
            await context.write(message("x" * 10_000))
            sent += 1

    async with scripted(flood) as server, route({"home": [server.address]}) as routed:
        call = routed.inference.GenerateStream(ask(request_id="slow"))
        await call.read()
        await until_still(lambda: sent, routed.state)  # the endpoint is held up
        passed_on = routed.router._inference._by_client_id["slow"].attempt.messages
        assert sent - passed_on < 20  # 200 KB wait in the router
        answer = await routed.state()  # others are served meanwhile
        assert answer.open_streams == 1
        call.cancel()
        await at_rest(routed, server)


async def test_a_slow_client_gets_the_whole_answer_in_fewer_messages():
    """What waited for it is put together, in order, and it is told the end and the count."""
    count, padding, sent = 2_000, "." * 5_000, 0

    async def flood(_raw, context):
        nonlocal sent
        for number in range(count):
            finish_tokens = count if number == count - 1 else 0
            await context.write(message(f"{number}{padding}", finish_tokens))
            sent += 1

    settings = dataclasses.replace(SETTINGS, coalesce_hold_s=0.01)
    async with (
        scripted(flood) as server,
        route({"home": [server.address]}, settings) as routed,
    ):
        call = routed.inference.GenerateStream(ask())
        chunks = [await call.read()]
        await until_still(lambda: sent, routed.state)  # the endpoint is held up
        while (chunk := await call.read()) is not grpc.aio.EOF:
            chunks.append(chunk)
    text = "".join(chunk.outputs.text for chunk in chunks)
    assert text == "".join(f"{number}{padding}" for number in range(count))
    assert sum(chunk.outputs.num_tokens for chunk in chunks) == count
    assert chunks[-1].outputs.HasField("finish_info")
    assert len(chunks) < count


async def test_counters_are_zero_after_a_mix_of_everything():
    """Successes, failures before and after the first token, cancels, timeouts, dead endpoints."""
    rng = random.Random(1)
    unavailable = grpc.StatusCode.UNAVAILABLE
    scripts = (
        says("a", "b"),
        fails(unavailable),
        fails(grpc.StatusCode.RESOURCE_EXHAUSTED),
        fails(grpc.StatusCode.INTERNAL, after=("a",)),
        hangs,
        stays_silent,
    )

    async def script(raw, context):
        await rng.choice(scripts)(raw, context)

    async def client(routed, number):
        how = rng.choice(("read", "cancel", "timeout", "one"))
        timeout = 0.1 if how == "timeout" else 1.0
        request = ask(request_id=f"r{number}", session_id=f"s{number % 7}")
        if how == "one":
            call = routed.inference.Generate(request, timeout=timeout)
        else:
            call = routed.inference.GenerateStream(request, timeout=timeout)
        if how == "cancel":
            asyncio.get_running_loop().call_later(rng.random() / 10, call.cancel)
        try:
            if how == "one":
                await call
            else:
                [chunk async for chunk in call]
        except (grpc.aio.AioRpcError, asyncio.CancelledError):
            pass

    async with scripted(script) as first, scripted(script) as second, scripted(script) as third:
        servers = {"home": [first.address, second.address], "cloud": [third.address]}
        async with route(servers) as routed:
            await asyncio.gather(*(client(routed, n) for n in range(60)))
            await third.die()
            await asyncio.gather(*(client(routed, n) for n in range(60)))
            await at_rest(routed, first, second)
