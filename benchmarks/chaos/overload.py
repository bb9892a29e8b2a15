"""Ten times the load that a fleet can serve: goodput, refusals and the router's memory.

A small fleet, so that ten times its capacity is still a load that one machine can ask for. Clients
are closed loops: each asks, hears its answer out or is refused, waits as it was told, asks again.
"""

import asyncio
import itertools
import random
import time
from collections import Counter
from collections.abc import Sequence

from benchmarks.chaos.load import questions
from benchmarks.chaos.measure import Result
from benchmarks.chaos.opening import SLO
from benchmarks.chaos.scene import Scene
from benchmarks.chaos.stream import Seen, listen
from benchmarks.dataplane.process import resident_bytes
from router.policy.units import seconds

ITL_S = 0.02
SLOTS = 4  # of each engine
TIMES = 10
TOKENS_MIN, TOKENS_MAX = 100, 200
PEAK_S, OVERLOAD_S = 12.0, 28.0
PEAK_SETTLE_S = 3.0  # not counted: clients begin together,
SETTLE_S = 8.0  # and for as long as it may be a burst, the queue keeps those who are late as well
GOODPUT_MIN = 0.9  # of the peak
MEMORY_MIB_MAX = 64.0
DEADLINE_S = 30.0
RETRY_S = 0.5  # where a refusal does not say when to come back


async def measure_overload(scene: Scene, rng: random.Random) -> Result:
    """As many clients as there are slots, then ten times as many."""
    slots = SLOTS * scene.replicas
    peak, _ = await _drive(scene, slots, PEAK_S, PEAK_SETTLE_S, rng)
    before_mib = resident_bytes(scene.router.pid) / 2**20
    good, seen = await _drive(scene, TIMES * slots, OVERLOAD_S, SETTLE_S, rng)
    grown_mib = max(0.0, resident_bytes(scene.router.pid) / 2**20 - before_mib)
    return _result(seen, good, peak, grown_mib)


async def _drive(
    scene: Scene, clients: int, duration_s: float, settle_s: float, rng: random.Random
) -> tuple[float, list[Seen]]:
    """The goodput in tokens per second once the queues are full, and all that was heard."""
    plan = questions(rng, TOKENS_MIN, TOKENS_MAX, recites=scene.recites)
    channels = itertools.cycle(scene.channels)
    heard: list[Seen] = []
    begun_s = time.monotonic()
    over_s = begun_s + duration_s

    async def client() -> None:
        while time.monotonic() < over_s:
            seen = await listen(next(channels), next(plan), DEADLINE_S)
            heard.append(seen)
            if seen.status != "OK":
                await asyncio.sleep(seen.retry_after_s or RETRY_S)

    async with asyncio.TaskGroup() as group:
        for _ in range(clients):
            group.create_task(client())
    return _goodput(heard, begun_s + settle_s, over_s), heard


def _goodput(seen: Sequence[Seen], from_s: float, to_s: float) -> float:
    """Tokens per second of answers that are right and began within the objective."""
    objective_s = seconds(SLO.ttft_ns)
    good = [
        one
        for one in seen
        if one.status == "OK" and one.difference.is_none and one.ttft_s <= objective_s
    ]
    tokens = sum(sum(from_s <= at_s < to_s for at_s in one.arrived_s) for one in good)
    return tokens / (to_s - from_s)


def _result(seen: Sequence[Seen], good: float, peak: float, grown_mib: float) -> Result:
    differences = [one.difference for one in seen]
    refused = [one for one in seen if one.status == "RESOURCE_EXHAUSTED"]
    failed = [one for one in seen if one.status not in {"OK", "RESOURCE_EXHAUSTED"}]
    broken = []
    if good < GOODPUT_MIN * peak:
        broken.append(f"goodput {good:.0f} tokens/s, {good / peak:.0%} of its peak {peak:.0f}")
    if grown_mib > MEMORY_MIB_MAX:
        broken.append(f"the router grew by {grown_mib:.0f} MiB")
    if unsaid := sum(one.retry_after_s is None for one in refused):
        broken.append(f"{unsaid} of {len(refused)} refusals do not say when to come back")
    note = (
        f"goodput {good:.0f} tokens/s beside {peak:.0f} at capacity, {len(refused)} refused,"
        f" the router grew by {grown_mib:.0f} MiB"
    )
    return Result(
        fault=f"{TIMES} times the load",
        streams=len(seen),
        probes=0,
        resumed=sum(one.resumed > 0 for one in seen),
        lost=sum(one.lost for one in differences),
        repeated=sum(one.repeated for one in differences),
        wrong=sum(one.wrong for one in differences),
        errors=dict(Counter(one.status for one in failed)),
        error_detail=failed[0].detail if failed else "",
        pause_p50_s=0.0,
        pause_p99_s=0.0,
        pause_p99_max_s=None,
        silence_max_s=max((one.pause_s(0.0) for one in seen), default=0.0),
        avoided_after_s=0.0,
        failed_attempts_max=max((one.attempts - 1 for one in seen), default=0),
        notes=[note],
        broken=broken,
    )
