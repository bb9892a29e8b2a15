"""What direct mode costs: `python -m benchmarks.dataplane.direct`.

A placement is timed beside the smallest call that the same router answers, a health check: the
difference is what placing adds to the way there and back. Then clients stream from the engine for
some seconds, and the CPU time of the router's process is shared out over their tokens and requests.
Each lease of the first part is given back, as a client does that cannot use it.
"""

import argparse
import asyncio
import functools
import os
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

import grpc.aio
from grpc_health.v1.health_pb2 import HealthCheckRequest
from grpc_health.v1.health_pb2_grpc import HealthStub

from benchmarks.dataplane.engine import MODEL
from benchmarks.dataplane.process import Running, cpu_s, running
from benchmarks.report import Table
from benchmarks.report_page import add_options, publish
from benchmarks.serving.summary import quantile
from spillway.client import Client
from spillway.progress import Progress
from wire.lease_keys import KEYS_ENV
from wire.spillway.v1 import fleet_pb2 as pb
from wire.spillway.v1.fleet_pb2_grpc import FleetStub

INTERVAL_MS, TOKENS = 20, 100
CALLS, STREAMS = 3_000, 64
GIVE_BACK = 50  # leases at a time
WARM = 200
SETTLE_S = 1.0
IDLE_S = 3.0


@dataclass(frozen=True, slots=True)
class Costs:
    """Times in milliseconds, CPU of the router's process in microseconds."""

    place_ms_p50: float
    place_ms_p99: float
    check_ms_p50: float
    check_ms_p99: float
    streams: int
    tokens: int
    requests: int
    placed: int  # of the requests; the others went through the router
    cpu_us_per_token: float
    cpu_us_per_request: float
    cpu_share: float  # of a core, with the streams
    idle_cpu_share: float  # without any

    @property
    def added_ms_p50(self) -> float:
        """What placing adds to a call."""
        return self.place_ms_p50 - self.check_ms_p50


async def measure(calls: int, streams: int, seconds: float) -> Costs:
    """Start an engine and a router, and measure both parts."""
    os.environ[KEYS_ENV] = secrets.token_hex(32)  # for what is started here
    pace = ["--interval-ms", str(INTERVAL_MS)]
    async with running("benchmarks.dataplane.leased_engine", pace) as engine:
        to = ["--to", engine.address]
        async with running("benchmarks.dataplane.spillway_router", to) as router:
            places, checks = await _placements(router, calls)
            return await _streams(router, streams, seconds, places, checks)


async def _placements(router: Running, calls: int) -> tuple[list[float], list[float]]:
    """Seconds of so many placements, and of as many health checks between them."""
    places: list[float] = []
    checks: list[float] = []
    async with grpc.aio.insecure_channel(router.address) as channel:
        fleet, check = FleetStub(channel), HealthStub(channel).Check
        question = pb.PlaceRequest()
        question.request.model, question.request.text = MODEL, "count on from 7"
        question.request.stopping.max_new_tokens = TOKENS
        claims: list[pb.LeaseClaim] = []
        for number in range(WARM + calls):
            placement, place_s = await _timed(functools.partial(fleet.Place, question))
            _, check_s = await _timed(functools.partial(check, HealthCheckRequest()))
            claims.append(pb.LeaseClaim(lease=placement.lease, end=pb.LeaseClaim.UNREACHABLE))
            if not placement.address:
                raise RuntimeError(f"the router places nothing: {placement.through_router}")
            if len(claims) == GIVE_BACK:
                await fleet.Report(pb.ReportRequest(claims=claims))
                claims.clear()
            if number >= WARM:
                places.append(place_s)
                checks.append(check_s)
    return places, checks


async def _timed(call: Callable[[], Awaitable[Any]]) -> tuple[Any, float]:
    begun_s = time.perf_counter()
    answer = await call()
    return answer, time.perf_counter() - begun_s


async def _streams(
    router: Running, streams: int, seconds: float, places: list[float], checks: list[float]
) -> Costs:
    tokens = requests = 0
    over = asyncio.Event()

    async def keep_one_open(client: Client) -> None:
        nonlocal tokens, requests
        while not over.is_set():
            async for chunk in client.stream("count on from 7", max_new_tokens=TOKENS):
                tokens += chunk.num_tokens
            requests += 1

    idle_s = cpu_s(router.pid)
    await asyncio.sleep(IDLE_S)
    idle_s = cpu_s(router.pid) - idle_s
    async with Client(router.address, direct=True, streams_max=streams) as client:
        work = [asyncio.create_task(keep_one_open(client)) for _ in range(streams)]
        await asyncio.sleep(SETTLE_S)
        before_s, placed = cpu_s(router.pid), await _placed(router)
        tokens = requests = 0
        await asyncio.sleep(seconds)
        spent_us, counted = (cpu_s(router.pid) - before_s) * 1e6, (tokens, requests)
        placed = await _placed(router) - placed
        over.set()
        await asyncio.gather(*work)
    return Costs(
        place_ms_p50=quantile(places, 0.5) * 1_000,
        place_ms_p99=quantile(places, 0.99) * 1_000,
        check_ms_p50=quantile(checks, 0.5) * 1_000,
        check_ms_p99=quantile(checks, 0.99) * 1_000,
        streams=streams,
        tokens=counted[0],
        requests=counted[1],
        placed=placed,
        cpu_us_per_token=spent_us / max(1, counted[0]),
        cpu_us_per_request=spent_us / max(1, counted[1]),
        cpu_share=spent_us / 1e6 / seconds,
        idle_cpu_share=idle_s / IDLE_S,
    )


async def _placed(router: Running) -> int:
    """How many turns the router has decided on: in this part, each is a placement."""
    async with grpc.aio.insecure_channel(router.address) as channel:
        call = FleetStub(channel).Watch(pb.WatchFleetRequest())
        try:
            async for state in call:
                return sum(site.turns for site in state.sites)
        finally:
            call.cancel()
    return 0


def sentences(costs: Costs) -> tuple[str, str]:
    """The result, for people."""
    placement = (
        f"A placement: p50 {costs.place_ms_p50:.2f} ms, p99 {costs.place_ms_p99:.2f} ms;"
        f" a health check: p50 {costs.check_ms_p50:.2f} ms, p99 {costs.check_ms_p99:.2f} ms;"
        f" placing adds {costs.added_ms_p50:.2f} ms."
    )
    streams = (
        f"{costs.streams} direct streams: {costs.tokens} tokens of {costs.requests} answers,"
        f" {costs.placed} placed; the router's process spent {costs.cpu_us_per_token:.1f} us of"
        f" CPU for a token and {costs.cpu_us_per_request:.0f} us for an answer,"
        f" {costs.cpu_share:.1%} of a core; idle it takes {costs.idle_cpu_share:.1%}."
    )
    return placement, streams


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataplane.direct")
    parser.add_argument("--calls", type=int, default=CALLS, help="placements that are timed")
    parser.add_argument("--streams", type=int, default=STREAMS, help="open at a time")
    parser.add_argument("--seconds", type=float, default=10.0)
    add_options(parser)
    options = parser.parse_args()
    with Progress("measuring placements, then streams"):
        costs = asyncio.run(measure(options.calls, options.streams, options.seconds))
    print(*sentences(costs), sep="\n")
    figures = asdict(costs)
    rows = [[name.replace("_", " "), f"{value:,.4g}"] for name, value in figures.items()]
    shown = Table("Every figure", ("what", "figure"), rows)
    publish(options, "Streaming from the endpoint itself", figures, [shown], sentences(costs))


if __name__ == "__main__":
    main()
