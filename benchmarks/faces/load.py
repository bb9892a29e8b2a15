"""Clients of each face that keep a number of streams open, and count the tokens that come."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import grpc.aio

from wire.vllm import inference_pb2 as pb

TOKENS: Final = 200
"""Of an answer: what a request costs is spread over these."""


@dataclass(slots=True)
class Seen:
    """What one run's client saw; times in seconds."""

    tokens: int = 0
    ttft_s: list[float] = field(default_factory=list)


Ask = Callable[[int, Seen], Awaitable[None]]
"""Asks once and reads the whole answer."""


async def native(port: int, streams: int, seconds: float) -> Seen:
    """The native face: messages of vllm.Inference over gRPC."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        method = channel.unary_stream("/vllm.Inference/GenerateStream")

        async def ask(number: int, seen: Seen) -> None:
            request = pb.GenerateRequest(text=f"user: {number} 7")
            request.stopping.max_new_tokens = TOKENS
            asked_s, first = time.perf_counter(), True
            async for message in method(request.SerializeToString()):
                if first:
                    seen.ttft_s.append(time.perf_counter() - asked_s)
                    first = False
                seen.tokens += pb.GenerateResponse.FromString(message).outputs.num_tokens

        return await _kept_open(ask, streams, seconds)


async def openai(port: int, streams: int, seconds: float) -> Seen:
    """OpenAI's: events of chat completions over HTTP, a character a token."""
    connector = aiohttp.TCPConnector(limit=0)
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    async with aiohttp.ClientSession(connector=connector) as http:

        async def ask(number: int, seen: Seen) -> None:
            body: dict[str, Any] = {"model": "fake", "stream": True, "max_tokens": TOKENS}
            body["messages"] = [{"role": "user", "content": f"{number} 7"}]
            body["stream_options"] = {"include_usage": True}
            asked_s, first, tail = time.perf_counter(), True, b""
            async with http.post(url, json=body) as response:
                response.raise_for_status()
                async for piece in response.content.iter_any():
                    if first:
                        seen.ttft_s.append(time.perf_counter() - asked_s)
                        first = False
                    tail = piece
            if not tail.endswith(b"data: [DONE]\n\n"):
                raise RuntimeError(f"a stream ended with {tail[-200:]!r}")
            seen.tokens += TOKENS

        return await _kept_open(ask, streams, seconds)


FACES: Final = {"native": native, "openai": openai}


async def _kept_open(ask: Ask, streams: int, seconds: float) -> Seen:
    """As many streams as that, each followed by the next one until the time is over."""
    seen, ends_s = Seen(), time.monotonic() + seconds

    async def one(number: int) -> None:
        while time.monotonic() < ends_s:
            await ask(number, seen)

    await asyncio.gather(*(one(number) for number in range(streams)))
    return seen
