"""Engines die at random under clients of every kind: each token once, honest ends, nothing left."""

import asyncio
import contextlib
import dataclasses
import random

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from tests.router.live.conftest import SETTINGS, address, ask, at_rest, engine, route
from tests.router.live.counting import counted_on
from tests.waiting import DEADLINE_S, until
from wire.vllm.inference_pb2 import ResponseOptions

ENGINES = 4
CLIENTS = 24
BLOWS = 5
BLOW_EVERY_S = 0.35
LASTS_S = 60.0  # at most, on a busy machine
CODES = grpc.StatusCode

HONEST = {
    ("leaves", CODES.CANCELLED),
    ("hasty", CODES.DEADLINE_EXCEEDED),
    ("hasty", CODES.UNAVAILABLE),  # no time was left to wait for an endpoint
    # Nothing of it is delivered before it ends, and two or three engines may have died under it.
    ("unary", CODES.UNAVAILABLE),
    ("unary", CODES.FAILED_PRECONDITION),
}


class Engines:
    """So many engines, each at an address of its own, of which one at a time is down."""

    def __init__(self, rng):
        self._rng = rng
        self._stack = contextlib.AsyncExitStack()
        self.servers = []
        self.blows = 0

    async def __aenter__(self):
        for _ in range(ENGINES):
            self.servers.append(await self._stack.enter_async_context(engine(itl_s=0.002)))
        return self

    async def __aexit__(self, *_):
        await self._stack.aclose()

    async def rage(self, routed):
        """One after the other dies, as an engine or with its server, and is started anew."""
        while True:
            place = self._rng.randrange(ENGINES)
            server = self.servers[place]
            if self._rng.random() < 0.5:
                server.replica.engine.die()
                await asyncio.sleep(self._rng.uniform(0.0, 0.1))
            await server.stop()
            await asyncio.sleep(self._rng.uniform(0.0, 0.1))
            self.servers[place] = await self._stack.enter_async_context(
                engine(server.port, itl_s=0.002)
            )
            self.blows += 1
            await routed.until_up(ENGINES)
            await asyncio.sleep(BLOW_EVERY_S)


async def client(routed, rng, over, ends):
    """Asks again and again, each time in another way, and checks whatever it is given."""
    while not over.is_set():
        prompt, tokens = str(rng.randrange(10**6)), rng.choice((1, 2, 50, 200))
        kind = rng.choice(("plain", "ids", "slow", "leaves", "hasty", "unary"))
        request = ask(prompt, tokens)
        if kind == "ids":
            request.response.CopyFrom(ResponseOptions(output_token_ids=True, output_text=False))
        timeout_s = rng.uniform(0.001, 0.3) if kind == "hasty" else 2 * DEADLINE_S
        given, code, told = "", CODES.OK, None
        try:
            if kind == "unary":
                answer = await routed.inference.Generate(request, timeout=timeout_s)
                given = answer.outputs.text
            else:
                given, code, told = await hear(routed, rng, request, kind, timeout_s)
        except grpc.aio.AioRpcError as error:
            code, told = error.code(), error
        ends.append((kind, code))
        wanted = counted_on(prompt, tokens)
        told_of = (kind, code, given, wanted)
        assert given == wanted if code is CODES.OK else wanted.startswith(given), told_of
        if code is CODES.ABORTED:
            info = ErrorInfo()
            rpc_status.from_call(told).details[0].Unpack(info)
            assert int(info.metadata["delivered_tokens"]) == len(given)


async def hear(routed, rng, request, kind, timeout_s):
    """What a stream gave until it ended or was left, its code, and its error."""
    given, leaves_after = "", rng.randrange(60) if kind == "leaves" else 1 << 30
    call = routed.inference.GenerateStream(request, timeout=timeout_s)
    try:
        async for message in call:
            ids = bytes(message.outputs.token_ids).decode()
            given += ids if kind == "ids" else message.outputs.text
            if kind == "slow":
                await asyncio.sleep(rng.uniform(0.0, 0.01))
            if len(given) > leaves_after:
                call.cancel()
                return given, CODES.CANCELLED, None
    except grpc.aio.AioRpcError as error:
        return given, error.code(), error
    return given, CODES.OK, None


@pytest.mark.parametrize("seed", range(2))
async def test_whoever_asks_gets_each_token_once_or_an_honest_end(seed, transport):
    """And with an engine that lives, nobody who waits for the end gets an error."""
    rng, over, ends = random.Random(seed), asyncio.Event(), []
    waits = dataclasses.replace(SETTINGS, resume_wait_s=DEADLINE_S)
    async with Engines(rng) as engines:
        homes = [address(server) for server in engines.servers]
        async with route({"home": homes[:2], "cloud": homes[2:]}, waits) as routed:
            raging = asyncio.create_task(engines.rage(routed))
            async with asyncio.TaskGroup() as group:
                for number in range(CLIENTS):
                    group.create_task(client(routed, random.Random(number), over, ends))
                await until(
                    lambda: engines.blows >= BLOWS and len(ends) > 4 * CLIENTS, within_s=LASTS_S
                )
                over.set()
            raging.cancel()
            await asyncio.gather(raging, return_exceptions=True)
            await at_rest(routed, *engines.servers)
    wrong = {end for end in ends if end[1] is not CODES.OK} - HONEST
    assert not wrong


async def test_a_connection_that_the_router_itself_closes_ends_no_answer(transport):
    """Neither a stream, at its first token or later, nor an answer that comes whole."""
    slow = {"prefill_tokens_per_s": 10.0, "itl_s": 0.002}
    async with (
        engine(**slow) as one,
        engine(**slow) as two,
        route({"home": [address(one)], "cloud": [address(two)]}) as routed,
    ):
        homely = routed.router._roster.get(f"home/{address(one)}")
        prompts = ("41", "4" * 9)
        streams = [asyncio.create_task(routed.stream(ask(prompt, 100))) for prompt in prompts]
        whole = asyncio.ensure_future(_whole(routed.inference.Generate(ask("41", 100))))
        await until(lambda: one.replica.in_flight == 3)
        turns = [turn for turn in routed.router._inference.turns if turn.transcript is not None]
        await until(lambda: any(turn.attempt.messages for turn in turns))
        await homely._channel.close()
        assert (await whole).outputs.text == counted_on("41", 100)
        for prompt, stream in zip(prompts, streams, strict=True):
            text = "".join(message.outputs.text for message in await stream)
            assert text == counted_on(prompt, 100)


async def _whole(call):
    return await call
