"""A simulated replica tells in its reports what its cache gained and lost."""

from dataclasses import replace

from router.policy.units import NS_PER_MS
from router.sim.clock import Clock
from router.sim.job import Job
from router.sim.plan import Link, Scenario
from router.sim.profile import PS_PER_MS, PS_PER_NS, Profile
from router.sim.replica import Replica

PROFILE = Profile("test", PS_PER_MS, 1000, 0, PS_PER_MS, 1000, 0, kv_blocks=4)


def replica_of(clock, **scenario):
    world = Scenario({"home": Link(NS_PER_MS)}, PROFILE.block_tokens, **scenario)
    return Replica("home/0", "home", PROFILE, clock, world, lambda *_: None, lambda *_: None)


def test_reports_tell_what_was_cached_and_what_was_given_up_since_the_last():
    """Two prompts that do not fit together: the second pushes the first out, tail first."""
    clock = Clock()
    replica = replica_of(clock)
    replica.submit(Job(1, 48, 1, (1, 2, 3)))
    clock.run()
    report = replica.report()
    assert (set(report.prefix_added), report.prefix_removed) == ({1, 2, 3}, ())
    replica.submit(Job(2, 32, 1, (7, 8)))
    clock.run()
    report = replica.report()
    assert (set(report.prefix_added), report.prefix_removed) == ({7, 8}, (3,))
    assert not replica.report().prefix_added


def test_nothing_is_collected_where_nobody_reports():
    """Without reports the changes of a long run would only pile up."""
    clock = Clock()
    replica = replica_of(clock, report_interval_ns=None)
    replica.submit(Job(1, 48, 1, (1, 2, 3)))
    clock.run()
    assert replica._engine.blocks.changes is None


def test_a_step_is_told_at_its_end_and_before_the_next_is_begun():
    """As an engine that publishes its cache's events: a chunk's blocks when it is computed."""
    clock, told = Clock(), []
    profile = replace(PROFILE, seqs_max=32, step_tokens_max=32)

    def on_step(replica):
        told.append((clock.now, replica.report().prefix_added))

    world = Scenario({"home": Link(NS_PER_MS)}, profile.block_tokens, report_interval_ns=None)
    nothing = lambda *_: None  # noqa: E731 - nobody listens
    replica = Replica("home/0", "home", profile, clock, world, nothing, nothing, on_step)
    replica.submit(Job(1, 48, 1, (1, 2, 3)))
    clock.run()
    assert [blocks for _, blocks in told] == [(1, 2), (3,)]
    assert 0 < told[0][0] < told[1][0]


def test_reports_tell_the_gaps_since_the_last():
    """Mean and tail, as vLLM's replicas do; where no token came since, the last known."""
    clock = Clock()
    replica = replica_of(clock)
    assert replica.report().itl_ns == 0
    replica.submit(Job(1, 1, 5))
    clock.run()
    step_ns = (PROFILE.decode_base_ps + PROFILE.decode_seq_ps) // PS_PER_NS
    for _ in range(2):
        report = replica.report()
        assert (report.itl_ns, report.itl_ns_p95) == (step_ns, step_ns)
    replica.crash()
    report = replica.report()
    assert (report.itl_ns, report.itl_ns_p95) == (0, 0)


def test_the_tail_of_the_gaps_is_what_a_twentieth_is_above():
    """One step in nine that prefills a thousand tokens is in the tail; one in 39 is not."""
    profile = replace(PROFILE, kv_blocks=400, prefill_token_ps=PS_PER_MS)
    for steps, is_long in ((10, True), (40, False)):
        clock = Clock()
        world = Scenario({"home": Link(NS_PER_MS)}, profile.block_tokens)
        replica = Replica("r", "home", profile, clock, world, lambda *_: None, lambda *_: None)
        replica.submit(Job(1, 1, steps))
        clock.at(5 * NS_PER_MS, replica.submit, Job(2, 1_000, 1))
        clock.run()
        assert (replica.report().itl_ns_p95 > 500 * NS_PER_MS) is is_long
