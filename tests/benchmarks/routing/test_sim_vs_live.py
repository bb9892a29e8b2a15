"""One workload, live and simulated: on engines that count at a set pace, in this process."""

import pytest

from benchmarks.routing.sim_vs_live.__main__ import _counted
from benchmarks.routing.sim_vs_live.compare import Row, agrees, compare, drive, simulate, workload
from benchmarks.routing.sim_vs_live.site import LiveSite, NotMeasuredError, measure
from benchmarks.workloads.prompts import CheckedPrompter
from router.sim.profile import PS_PER_MS
from tests.router.live.conftest import CLOUD, HOME, address, engine, fleet_of, route

FLEET = fleet_of(HOME, CLOUD)
PROMPTER = CheckedPrompter(_counted)


async def test_both_worlds_answer_the_same_sessions():
    """The simulated one on what was measured; the engine's pace is found again."""
    async with engine(itl_s=0.01, max_running=4) as server:
        where = {"home": [address(server)], "cloud": []}
        async with route(where, fleet=FLEET, wait_for=1) as routed:
            site = LiveSite("home", address(server), 4)
            measured = [await measure(site, PROMPTER, 1)]
            plan = workload(measured, 2.0, 1)
            live = await drive(f"127.0.0.1:{routed.router.port}", plan, PROMPTER)
    virtual = simulate(FLEET, measured, plan, 1)
    assert measured[0].profile.decode_base_ps > 5 * PS_PER_MS
    assert len(live) == len(virtual) == sum(len(session.turns) for session in plan)
    assert {record.status for record in live} == {"OK"}
    assert {record.site for record in virtual} == {"home"}
    assert {record.prompt_tokens for record in live} == {r.prompt_tokens for r in virtual}
    assert all(row.live_s > 0 and row.simulated_s > 0 for row in compare(live, virtual))


async def test_a_site_that_does_not_answer_is_not_measured():
    """The message says which, and how it failed."""
    async with engine(itl_s=0, poison="C") as server:
        with pytest.raises(NotMeasuredError, match="home failed: "):
            await measure(LiveSite("home", address(server), 4), PROMPTER, 1)


def test_fifteen_percent_is_the_bound():
    """In either direction."""
    assert agrees([Row("a", 1.0, 1.14), Row("b", 1.0, 0.86)])
    assert not agrees([Row("a", 1.0, 1.14), Row("b", 1.0, 0.84)])
