"""The jumping engine and the token-by-token reference agree to the picosecond."""

import importlib.util
import random
from pathlib import Path

import pytest

from router.sim.engine import Engine
from router.sim.job import Job
from router.sim.profile import Profile

_spec = importlib.util.spec_from_file_location(
    "reference_engine", Path(__file__).with_name("reference_engine.py")
)
reference_engine = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference_engine)

OUTCOME = (*("cached_tokens", "first_token_ps", "finished_ps", "slow_gaps", "preemptions"),)


def random_case(seed):
    """A small engine under load, its cache and batch often full."""
    rng = random.Random(seed)
    size = rng.choice([1, 2, 4, 16])
    seqs_max = rng.randint(1, 6)
    profile = Profile(
        name="random",
        prefill_base_ps=rng.randrange(1000),
        prefill_token_ps=rng.randrange(1, 50),
        prefill_pair_ps=rng.randrange(3),
        decode_base_ps=rng.randrange(1, 2000),
        decode_seq_ps=rng.randrange(100),
        decode_context_ps=rng.choice([0, 1, 7]),
        kv_blocks=rng.randint(64 // size + 1, 200 // size + 1),
        block_tokens=size,
        seqs_max=seqs_max,
        step_tokens_max=rng.randint(seqs_max, 60),
    )
    jobs = []
    at_ps = 0
    for index in range(rng.randint(1, 25)):
        at_ps += rng.choice([0, rng.randrange(200), rng.randrange(20_000)])
        prompt, output = rng.randint(1, 40), rng.randint(1, 24)
        family = rng.randrange(3)
        shared = rng.randint(0, prompt // size)
        names = [family * 1000 + block for block in range(shared)]
        names += [10_000 + index * 100 + b for b in range((prompt + output) // size - shared)]
        cancel_ps = at_ps + rng.randrange(30_000) if rng.random() < 0.1 else None
        jobs.append((at_ps, prompt, output, tuple(names), rng.choice([0, 0, 0, 1]), cancel_ps))
    return profile, jobs, rng.randrange(3000)


def jumped(profile, cases, slow_gap_ps):
    """The outcomes of the engine under test."""
    told = []
    engine = Engine(
        profile,
        on_first_token=lambda job: told.append(("first", job.id)),
        on_finished=lambda job: told.append(("finished", job.id)),
        slow_gap_ps=slow_gap_ps,
    )
    jobs, calls = [], []
    for index, (at_ps, prompt, output, blocks, priority, cancel_ps) in enumerate(cases):
        job = Job(index, prompt, output, blocks, priority)
        jobs.append(job)
        calls.append((at_ps, 0, index, engine.submit, job))
        if cancel_ps is not None:
            calls.append((cancel_ps, 1, index, engine.cancel, job))
    for at_ps, _order, _index, call, job in sorted(calls, key=lambda entry: entry[:3]):
        engine.advance(at_ps - 1)
        if call == engine.submit or job.finished_ps < 0:
            call(job, at_ps)
    while engine.next_ps is not None:
        engine.advance(engine.next_ps)
    return engine, jobs, told


@pytest.mark.parametrize("block", range(20))
def test_jumps_and_tokens_agree(block):
    """On random loads with preemption, sharing, priorities and cancels, every outcome is equal."""
    for seed in range(block * 100, block * 100 + 100):
        profile, cases, slow_gap_ps = random_case(seed)
        reference = reference_engine.Reference(profile, slow_gap_ps)
        expected = [
            reference_engine.Job(index, *case[:2], case[2], *case[3:])
            for index, case in enumerate(cases)
        ]
        reference.run(expected)
        engine, jobs, told = jumped(profile, cases, slow_gap_ps)
        for job, wanted in zip(jobs, expected, strict=True):
            got = {name: getattr(job, name) for name in OUTCOME}
            assert got == {name: getattr(wanted, name) for name in OUTCOME}, f"seed {seed}"
        assert engine.blocks.used == 0, f"seed {seed}"
        assert told.count(("first", 0)) <= 1
        assert len(told) == len(set(told))


def test_the_cost_of_a_request_does_not_grow_with_its_answer():
    """A million tokens are made in as few runs as ten."""
    profile = Profile("long", 1000, 10, 0, 1000, 10, 1, kv_blocks=2**21, block_tokens=16)
    runs = []
    for output in (10, 1_000_000):
        engine = Engine(profile, on_first_token=lambda _: None, on_finished=lambda _: None)
        job = Job(0, 100, output)
        engine.submit(job, 0)
        count = 0
        while engine.next_ps is not None:
            engine.advance(engine.next_ps)
            count += 1
        assert job.finished_ps > 0
        runs.append(count)
    assert runs[0] == runs[1]


@pytest.mark.parametrize(("prompt", "output"), [(0, 1), (1, 0), (900, 200)])
def test_a_job_that_can_never_run_is_refused(prompt, output):
    """Nothing to do, nothing to say, or more than the cache holds."""
    profile = Profile("small", 1, 1, 0, 1, 1, 0, kv_blocks=64, block_tokens=16)
    engine = Engine(profile, on_first_token=lambda _: None, on_finished=lambda _: None)
    with pytest.raises(ValueError, match="token"):
        engine.submit(Job(0, prompt, output), 0)
