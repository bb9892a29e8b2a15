"""Requests through a router to real servers."""

import grpc

from tests.router.live.conftest import address, ask, engine, route


async def test_a_stream_comes_through_byte_for_byte():
    """What a client of the router gets is what a client of the engine gets."""
    async with engine(itl_s=0) as server, route({"home": [address(server)]}) as routed:
        async with grpc.aio.insecure_channel(address(server)) as channel:
            method = "/vllm.Inference/GenerateStream"
            raw = ask("41", 30).SerializeToString()
            direct = b"".join([m async for m in channel.unary_stream(method)(raw)])
            through = b"".join([m async for m in routed.channel.unary_stream(method)(raw)])
        assert through == direct


async def test_one_answer_comes_through(one):
    answer = await one.inference.Generate(ask("7", 5))
    assert answer.outputs.text.startswith(" 8 9")
