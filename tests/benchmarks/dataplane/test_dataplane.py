"""The data plane's harness measures what it says, on real processes."""

import functools
import os

import pytest

from benchmarks.dataplane.backend import Pace
from benchmarks.dataplane.load import Load, drive
from benchmarks.dataplane.process import cpu_s, running

QUICK = Load("quick", streams=4, interval_ms=5, messages=20)


def test_spread_streams_have_their_own_grids_and_bursts_share_one():
    """The message after the first is one interval later, or on the next line of a common grid."""
    assert Pace(0.02, "spread").first_due(1.003) == pytest.approx(1.023)
    assert Pace(0.02, "bursts").first_due(1.003) == pytest.approx(1.02)
    assert Pace(0.02, "bursts").first_due(1.019) == pytest.approx(1.02)


@pytest.mark.parametrize("middle", [None, "naive", "spillway_router"])
async def test_messages_arrive_at_the_pace_of_the_backend(middle):
    """Directly and through each middle, without errors."""
    async with running("benchmarks.dataplane.backend", ["--interval-ms", "5"]) as backend:
        if middle is None:
            seen, _ = await drive(backend.address, QUICK, 0.5, lambda: 0.0)
        else:
            to = ["--to", backend.address]
            async with running(f"benchmarks.dataplane.{middle}", to) as process:
                cpu = functools.partial(cpu_s, process.pid)
                seen, spent_s = await drive(process.address, QUICK, 0.5, cpu)
                assert spent_s >= 0
    assert not seen.errors
    assert seen.requests > 0
    assert 0 < seen.messages <= 4 * 0.5 / 0.005 * 1.5


def test_cpu_time_grows_with_work():
    """The CPU time of this very process, after it has worked."""
    before_s = cpu_s(os.getpid())
    while cpu_s(os.getpid()) == before_s:
        sum(range(100_000))
    assert cpu_s(os.getpid()) > before_s
