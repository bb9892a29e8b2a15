"""The load client: a fixed number of streams kept open, by raw bytes."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import grpc.aio

from benchmarks.dataplane.backend import MODEL
from wire.vllm import inference_pb2


@dataclass(frozen=True, slots=True)
class Load:
    """How many streams, of how many messages, at what distance."""

    name: str
    streams: int
    interval_ms: float
    messages: int
    shape: str = "spread"


@dataclass(slots=True)
class Seen:
    """What the client saw: times in seconds."""

    messages: int = 0
    requests: int = 0
    ttft_s: list[float] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def clear(self) -> None:
        """Forget what was seen so far, but not the errors."""
        self.messages = self.requests = 0
        self.ttft_s, self.gaps_s = [], []


async def drive(
    address: str, load: Load, duration_s: float, cpu_s: Callable[[], float]
) -> tuple[Seen, float]:
    """Keep `load.streams` streams open; what was seen in `duration_s`, and the CPU it took.

    Streams begin at random over the length of one, so that their beginnings are spread for good,
    and nothing is counted until all have begun. `cpu_s` reads the CPU time of what is measured.
    """
    stream_s = load.messages * load.interval_ms / 1000
    rng = random.Random(load.name)
    seen = Seen()
    async with grpc.aio.insecure_channel(address) as channel, asyncio.TaskGroup() as group:
        await channel.channel_ready()
        workers = [
            group.create_task(_worker(channel, load, seen, index, rng.uniform(0, stream_s)))
            for index in range(load.streams)
        ]
        await asyncio.sleep(stream_s + 1)
        seen.clear()
        before_s = cpu_s()
        await asyncio.sleep(duration_s)
        spent_s = cpu_s() - before_s
        counted = replace(seen)
        for worker in workers:
            worker.cancel()
    return counted, spent_s


async def _worker(
    channel: grpc.aio.Channel, load: Load, seen: Seen, index: int, delay_s: float
) -> None:
    method = channel.unary_stream("/vllm.Inference/GenerateStream")
    request = inference_pb2.GenerateRequest(
        model=MODEL,
        text="count",
        session_id=f"load-{index}",
        stopping=inference_pb2.StoppingCriteria(max_new_tokens=load.messages),
    ).SerializeToString()
    await asyncio.sleep(delay_s)
    while True:
        begun = time.perf_counter()
        call = method(request)
        last: float | None = None
        try:
            async for _raw in call:
                now = time.perf_counter()
                seen.messages += 1
                if last is None:
                    seen.ttft_s.append(now - begun)
                else:
                    seen.gaps_s.append(now - last)
                last = now
        except grpc.aio.AioRpcError as error:
            seen.errors.append(f"{error.code().name}: {error.details()}")
            return
        finally:
            call.cancel()
        seen.requests += 1
