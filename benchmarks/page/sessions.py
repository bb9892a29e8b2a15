"""Sessions that take turn after turn: `python -m benchmarks.page.sessions ADDRESS COUNT TOKENS`.

It prints a number once all of them are under way, and ends with its standard input.
"""

import asyncio
import contextlib
import os
import random
import sys

import grpc.aio

from wire.vllm import inference_pb2 as pb

THINKS_S = 12.0
"""Between two turns of a session, on average: most of a thousand sessions do nothing at a time."""

WORDS_MAX = 600
"""Of a conversation before it begins anew."""


async def session(method: grpc.aio.UnaryStreamMultiCallable, number: int, tokens: int) -> None:
    """One session's turns, each with all that went before."""
    rng = random.Random(number)
    words = rng.randint(20, 200)
    await asyncio.sleep(rng.random() * THINKS_S)
    while True:
        request = pb.GenerateRequest(text="word " * words + "7", session_id=f"s{number}")
        request.stopping.max_new_tokens = tokens
        with contextlib.suppress(grpc.aio.AioRpcError):  # refused, or its site was killed
            async for _ in method(request.SerializeToString()):
                pass
        words = words + 20 if words < WORDS_MAX else 20
        await asyncio.sleep(rng.random() * 2 * THINKS_S)


async def main() -> None:
    """Run until standard input closes."""
    address, count, tokens = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    channel = grpc.aio.insecure_channel(address)
    method = channel.unary_stream("/vllm.Inference/GenerateStream")
    running = [asyncio.create_task(session(method, number, tokens)) for number in range(count)]
    await asyncio.sleep(THINKS_S)
    print(len(running), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    os._exit(0)  # gRPC would print a traceback for each call that is open


if __name__ == "__main__":
    asyncio.run(main())
