"""The other faces ask the same of their callers as the native one."""

import dataclasses

import aiohttp
import grpc
import openai
import pytest

from tests.router.live.conftest import SETTINGS
from tests.router.live.counting import counts
from tests.router.live.keyed import ACME, GONE, bearer, route_keyed
from tests.router.live.scripted import scripted
from wire.kserve import inference_pb2 as kserve
from wire.kserve.inference_pb2_grpc import GRPCInferenceServiceStub
from wire.vllm.inference_pb2 import GenerateRequest

WITH_OPENAI = dataclasses.replace(SETTINGS, openai_listen="127.0.0.1:0")
ASKED = {"model": "fake", "prompt": "7", "max_tokens": 3}


async def test_openais_clients_show_their_key_as_they_always_do():
    """A tenant is let in; nobody else, and the body of nobody else is read."""
    async with (
        scripted(counts()) as server,
        route_keyed({"home": [server.address]}, settings=WITH_OPENAI) as routed,
    ):
        base = f"http://127.0.0.1:{routed.router.openai_port}"
        async with openai.AsyncOpenAI(base_url=f"{base}/v1", api_key=ACME, max_retries=0) as known:
            await known.completions.create(**ASKED)
        for key in ("none", GONE):
            async with openai.AsyncOpenAI(
                base_url=f"{base}/v1", api_key=key, max_retries=0
            ) as stranger:
                with pytest.raises(openai.AuthenticationError):
                    await stranger.completions.create(**ASKED)
        async with aiohttp.ClientSession(base_url=base) as http:
            for headers in ((), (("Authorization", f"Bearer {ACME}"),) * 2):
                for path in ("/v1/completions", "/v1/models", "/v1/none", "/"):
                    async with http.post(path, headers=headers, data=b"no JSON") as response:
                        assert response.status == 401
                        error = (await response.json())["error"]
                        assert error["code"] == "invalid_api_key"
            async with http.get("/health") as response:
                assert response.status == 200
    (call,) = server.calls
    assert call.metadata["x-spillway-tenant"] == "acme"
    assert "authorization" not in call.metadata
    assert GenerateRequest.FromString(call.raw).kv.cache_salt == "acme/"


async def test_kserves_clients_show_it_as_metadata():
    """Whether the server lives is told without."""
    async with (
        scripted(counts()) as server,
        route_keyed({"home": [server.address]}) as routed,
        grpc.aio.insecure_channel(f"127.0.0.1:{routed.router.port}") as channel,
    ):
        stub = GRPCInferenceServiceStub(channel)
        assert (await stub.ServerLive(kserve.ServerLiveRequest())).live
        asked = kserve.ModelInferRequest(model_name="fake")
        text = asked.inputs.add(name="text_input", datatype="BYTES", shape=[1])
        text.contents.bytes_contents.append(b"7")
        for method in (stub.ModelInfer, stub.ModelMetadata, stub.RepositoryIndex):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await method(asked)
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        await stub.ModelInfer(asked, metadata=bearer(ACME))
    (call,) = server.calls
    assert call.metadata["x-spillway-tenant"] == "acme"
    assert GenerateRequest.FromString(call.raw).kv.cache_salt == "acme/"
