"""One workload, live and simulated: on engines that count at a set pace, in this process."""

import json

import pytest

from benchmarks.routing.sim_vs_live.__main__ import Both, _counted, figures_of
from benchmarks.routing.sim_vs_live.compare import Row, Verdict, again, compare, simulate, workload
from benchmarks.routing.sim_vs_live.rehearsal import fitted, rehearsal
from benchmarks.routing.sim_vs_live.site import LiveSite, Measured, NotMeasuredError, measure
from benchmarks.serving.record import Record
from benchmarks.workloads.prompts import CheckedPrompter
from router.policy.units import NS_PER_MS, seconds
from router.sim.plan import Link
from router.sim.profile import PS_PER_MS, Profile
from tests.router.live.conftest import CLOUD, HOME, address, engine, fleet_of, route

FLEET = fleet_of(HOME, CLOUD)
PROMPTER = CheckedPrompter(_counted)


def site(name, slots, *, rtt_ms=4.0, intake_ms=0.0):
    """As if measured."""
    base_ps, token_ps = 5 * PS_PER_MS, PS_PER_MS // 20
    profile = Profile(
        name, base_ps, token_ps, 0, base_ps, base_ps // 10, 0, kv_blocks=2_048, seqs_max=slots
    )
    link = Link(round(rtt_ms * NS_PER_MS), intake_ns=round(intake_ms * NS_PER_MS))
    return Measured(LiveSite(name, "", slots), link, profile)


def as_live(records):
    """What a client would have recorded of these."""
    return [
        Record(
            session=one.session,
            turn=one.turn,
            phase="",
            intended_s=seconds(one.sent_ns),
            ttft_s=seconds(one.ttft_ns),
            end_to_end_s=seconds(one.end_to_end_ns),
            output_tokens=one.output_tokens,
            site=one.site,
        )
        for one in records
        if not one.refused
    ]


async def test_both_worlds_answer_the_same_sessions():
    """The simulated one on what was measured; the engine's pace is found again."""
    async with engine(itl_s=0.01, max_running=4) as server:
        where = {"home": [address(server)], "cloud": []}
        async with route(where, fleet=FLEET, wait_for=1) as routed:
            both = Both(f"127.0.0.1:{routed.router.port}", FLEET, PROMPTER, 1)
            await both.run([LiveSite("home", address(server), 4)], 0.5, 1.0)
    assert both.measured[0].profile.decode_base_ps > 5 * PS_PER_MS
    assert len(both.live) == 2
    for live in both.live:
        assert len(live) == len(both.virtual) > 0
        assert {record.status for record in live} == {"OK"}
        assert {r.prompt_tokens for r in live} == {r.prompt_tokens for r in both.virtual}
    assert {record.site for record in both.virtual} == {"home"}
    rows = compare(both.live, both.virtual)
    assert all(row.live_s > 0 and row.simulated_s > 0 for row in rows)
    written = json.loads(json.dumps(figures_of(both, rows)))
    assert [one["site"]["name"] for one in written["sites"]] == ["home"]
    assert {row["verdict"] for row in written["rows"]} <= {"agrees", "off", "cannot_tell"}


async def test_a_site_that_does_not_answer_is_not_measured():
    """The message says which, and how it failed."""
    async with engine(itl_s=0, poison="C") as server:
        with pytest.raises(NotMeasuredError, match="home failed: "):
            await measure(LiveSite("home", address(server), 4), PROMPTER, 1)


@pytest.mark.parametrize(
    ("factor", "rtt_ms", "intake_ms"), [(1.0, 4.0, 0.0), (2.0, 20.0, 0.0), (1.5, 10.0, 30.0)]
)
def test_a_rehearsal_shows_what_load_makes_slower(factor, rtt_ms, intake_ms):
    """Steps are found to within a tenth, and with the way what another workload meets.

    A site with too few turns to tell by is taken for as slow as the other.
    """
    alone = [site("home", 4), site("cloud", 8)]
    loaded = [
        site(name, slots, rtt_ms=rtt_ms, intake_ms=intake_ms).slower(factor)
        for name, slots in (("home", 4), ("cloud", 8))
    ]
    plan = rehearsal(loaded, 20.0, 1)
    live = as_live(simulate(FLEET, loaded, plan, 2))
    found = fitted(FLEET, alone, plan, live, 3)
    for one, true in zip(found, loaded, strict=True):
        assert one.profile.decode_base_ps == pytest.approx(true.profile.decode_base_ps, rel=0.1)
    # Held against another workload, as in the command.
    other = workload(loaded, 20.0, 4)
    rows = compare([as_live(simulate(FLEET, loaded, other, 5))], simulate(FLEET, found, other, 6))
    assert {row.verdict for row in rows} == {Verdict.AGREES}


def test_a_workload_said_again_shares_nothing_with_itself():
    """Its sessions begin alike among themselves, and unlike those of the first time."""
    plan = workload([site("home", 4)], 5.0, 1)
    first, second = again(plan, 0), again(plan, 1)
    assert {one.id for one in first}.isdisjoint(one.id for one in second)
    for run in (first, second):
        assert len({turn.blocks for session in run for turn in session.turns}) == 1
    assert first[0].turns[0].blocks != second[0].turns[0].blocks
    assert [one.at_s for one in first] == [one.at_s for one in plan]


def test_fifteen_percent_is_the_bound():
    """In either direction."""
    verdicts = [Row("a", 1.0, (1.0, 1.0), simulated).verdict for simulated in (1.14, 0.86, 0.84)]
    assert verdicts == [Verdict.AGREES, Verdict.AGREES, Verdict.OFF]


def test_nothing_can_be_told_where_the_live_runs_differ_by_more():
    """Unless the simulated one is near all the same."""
    verdicts = [Row("a", 1.0, (0.9, 1.1), simulated).verdict for simulated in (1.3, 1.1)]
    assert verdicts == [Verdict.CANNOT_TELL, Verdict.AGREES]
