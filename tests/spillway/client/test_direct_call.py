"""A stream from an endpoint is watched for as long as it lasts."""

import asyncio

import grpc
import pytest

from spillway.client.attempts import Attempts
from spillway.client.connections import Connections
from spillway.client.direct_call import DirectCall
from spillway.client.options import call_of
from spillway.client.placement import Placed, broken
from spillway.client.stream import Stream
from tests.waiting import DEADLINE_S
from wire.spillway.v1.fleet_pb2 import Placement
from wire.vllm.inference_pb2 import GenerateResponse

PLACED = Placed(
    Placement(address="a:1", endpoint="home/a", site="home", first_token_s=0.01, silence_s=0.01)
)


class FakeCall:
    """Messages as they are put; a read that waits ends when the call is cancelled."""

    def __init__(self):
        self.messages = asyncio.Queue()

    async def read(self):
        message = await self.messages.get()
        if message is None:
            raise asyncio.CancelledError
        if isinstance(message, BaseException):
            raise message
        return message

    def cancel(self):
        self.messages.put_nowait(None)


class DeafChannel:
    """Questions after its health wait until the test answers them."""

    def __init__(self):
        self.asked = asyncio.Queue()

    def unary_unary(self, *_, **__):
        async def check(*_, **__):
            answer = asyncio.get_running_loop().create_future()
            self.asked.put_nowait(answer)
            return await answer

        return check

    unary_stream = unary_unary


class Doubts:
    """What the owner of the call is told."""

    def __init__(self):
        self.doubted = []

    def tell(self, claim, loop):
        pass

    def doubt(self, way, channel):
        self.doubted.append(way.address)


async def test_an_endpoint_that_gave_a_message_while_it_was_asked_is_asked_again():
    """That question failed, and was no reason to give up; the next silence is one."""
    call, channel, owner = FakeCall(), DeafChannel(), Doubts()
    direct = DirectCall(PLACED, call, channel, owner)
    reading = asyncio.create_task(direct.read())
    first = await channel.asked.get()
    call.messages.put_nowait(GenerateResponse())
    await reading
    first.set_exception(broken("deaf"))
    reading = asyncio.create_task(direct.read())
    async with asyncio.timeout(DEADLINE_S):
        second = await channel.asked.get()
    second.set_exception(broken("deaf"))
    with pytest.raises(grpc.aio.AioRpcError, match="fallen silent"):
        await reading
    assert owner.doubted == ["a:1"]


class OneCall:
    """An answer that starts with this call, and can go on."""

    def __init__(self, direct):
        self.direct = direct
        connections = Connections(lambda _: None, "r:1", 1)
        call = call_of("7", {}, deadline_s=60.0)
        self.attempts = Attempts(connections, call, resume_s=30.0, give_up_s=float("inf"))

    async def start(self):
        return self.attempts.at_endpoint(self.direct, lambda: None)

    def release(self):
        pass


async def test_a_connection_that_breaks_behind_the_last_message_leaves_the_ending_whole():
    """Nothing is missing, and the placement said where it came from."""
    call = FakeCall()
    answering = OneCall(DirectCall(PLACED, call, DeafChannel(), Doubts()))
    last = GenerateResponse()
    last.outputs.finish_info.num_output_tokens = 1
    call.messages.put_nowait(last)
    call.messages.put_nowait(broken("gone"))
    stream = Stream(answering)
    assert len([chunk async for chunk in stream]) == 1
    assert stream.ending.site == "home"
