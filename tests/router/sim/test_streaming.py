"""A trace of any length is streamed through a world: memory is what is in flight, not what was."""

import tracemalloc
from dataclasses import replace

import pytest

from router.policy.core import RouterCore
from router.policy.fleet import Limits
from router.policy.units import NS_PER_S
from router.sim.plan import Scenario, SimSession, SimTurn
from router.sim.rivals.simple import RoundRobin
from router.sim.world import World
from tests.router.sim.test_world import FLEET, LINKS, PROFILE

SMALL = replace(PROFILE, kv_blocks=120)  # full of old prompts after a few seconds
REPLICAS = [(f"home/{index}", "home", SMALL) for index in range(3)]
BOUNDED = replace(FLEET, limits=Limits(sessions_max=100, prefix_blocks_max=512))


def endless(count):
    """Equal sessions, one every quarter of a second, made as they are asked for."""
    for index in range(count):
        blocks = tuple(range(1000 * index, 1000 * index + 10))
        yield SimSession(f"s{index}", index * 250_000_000, (SimTurn(160, 20, 0, blocks),))


def peak_bytes(policy, count, path):
    """The most memory that a run of so many sessions holds, its records written as they come."""
    tracemalloc.start()
    with path.open("w") as out:

        def write(record):
            out.write(f"{record.session} {record.ttft_ns}\n")

        # Tuples that reports free stay in the interpreter's lists: few of them, to see our own.
        scenario = Scenario(LINKS, 16, report_interval_ns=10 * NS_PER_S)
        world = World(scenario, REPLICAS, [policy], write)
        world.run(endless(count))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert path.read_text().count("\n") == count
    return peak


@pytest.mark.parametrize("make", [RoundRobin, lambda: RouterCore(BOUNDED)])
def test_four_times_the_trace_takes_no_more_memory(make, tmp_path):
    """Beyond a tenth, for tables that have not reached their bounds."""
    short = peak_bytes(make(), 300, tmp_path / "short")
    long = peak_bytes(make(), 1_200, tmp_path / "long")
    assert long < 1.1 * short + 50_000
