"""Dynamo's mocker rules: the jumping engine against the same rules in exact fractions, by token."""

import random
from fractions import Fraction

import pytest

from router.sim.engine import Engine
from router.sim.job import Job
from router.sim.mocker import Mocker, decode_ps, prefill_ps
from router.sim.profile import PS_PER_MS
from tests.router.sim import reference_engine

ROUNDING_PS = 1_000  # a run is rounded once to a picosecond, and there are fewer runs than this


class Reference(reference_engine.Reference):
    """The reference engine with the mocker's timing as its source gives it, in milliseconds."""

    def duration(self, planned):
        model = self.profile
        prefills = [
            (job.computed, min(end, job.prompt))
            for job, end in planned.items()
            if job.computed < job.prompt
        ]
        decoding = [
            job
            for job, end in planned.items()
            if job.decoding or (job.made > 0 and end == job.tokens)
        ]
        ms = Fraction(0)
        if prefills:
            k = len(prefills)
            n = k * (
                sum(end for _, end in prefills) // k - sum(start for start, _ in prefills) // k
            )
            ms += Fraction("4.209989e-7") * n * n + Fraction("1.518344e-2") * n
            ms += Fraction("16.50142")
        if decoding:
            share = min(Fraction(1), Fraction(sum(job.tokens for job in decoding), model.kv_tokens))
            ms += Fraction("-25.74") * share * share + Fraction("54.01") * share + Fraction("5.74")
        return ms * PS_PER_MS


def random_case(seed):
    """A small worker under load: its cache is often full, its prompts share beginnings."""
    rng = random.Random(seed)
    size = rng.choice([1, 4, 16])
    seqs_max = rng.randint(1, 6)
    model = Mocker(
        kv_blocks=rng.randint(64 // size + 1, 200 // size + 1),
        block_tokens=size,
        seqs_max=seqs_max,
        step_tokens_max=rng.randint(seqs_max, 60),
    )
    cases = []
    at_ps = 0
    for index in range(rng.randint(1, 20)):
        at_ps += rng.choice([0, rng.randrange(50), rng.randrange(500)]) * PS_PER_MS
        at_ps += rng.randrange(PS_PER_MS)
        prompt, output = rng.randint(1, 40), rng.randint(1, 24)
        shared = rng.randint(0, prompt // size)
        family = rng.randrange(3)
        names = [family * 1000 + block for block in range(shared)]
        names += [10_000 + index * 100 + b for b in range((prompt + output) // size - shared)]
        cases.append((at_ps, prompt, output, tuple(names), 0))
    return model, cases


@pytest.mark.parametrize("block", range(3))
def test_jumps_and_tokens_agree(block):
    """On random loads with preemption and sharing, to the rounding of a run."""
    for seed in range(block * 100, block * 100 + 100):
        model, cases = random_case(seed)
        expected = [reference_engine.Job(index, *case) for index, case in enumerate(cases)]
        Reference(model, 0).run(expected)
        engine = Engine(model, on_first_token=lambda _: None, on_finished=lambda _: None)
        jobs = []
        for index, (at_ps, prompt, output, names, _priority) in enumerate(cases):
            engine.advance(at_ps - 1)
            jobs.append(Job(index, prompt, output, names))
            engine.submit(jobs[-1], at_ps)
        while engine.next_ps is not None:
            engine.advance(engine.next_ps)
        for job, wanted in zip(jobs, expected, strict=True):
            assert abs(job.first_token_ps - wanted.first_token_ps) < ROUNDING_PS, f"seed {seed}"
            assert abs(job.finished_ps - wanted.finished_ps) < ROUNDING_PS, f"seed {seed}"
            assert job.cached_tokens == wanted.cached_tokens, f"seed {seed}"
            assert job.preemptions == wanted.preemptions, f"seed {seed}"


def test_a_full_cache_bounds_the_step():
    """Sequences that share blocks may have more context than there is room: the share stays 1."""
    at_most_ps = round(34.01 * PS_PER_MS)
    assert decode_ps(2, 2_000_000, 1_048_576, 10) == 10 * at_most_ps
    crossing_ps = decode_ps(4, 1_048_570, 1_048_576, 1000)
    assert abs(crossing_ps - 1000 * at_most_ps) < PS_PER_MS


def test_prefill_follows_its_polynomial():
    """8,192 tokens, by hand: 28.25 + 124.38 + 16.50 ms."""
    assert abs(prefill_ps(8192) - round(169.136918 * PS_PER_MS)) < PS_PER_MS // 1000


def test_slow_gaps_are_counted_as_steps_grow():
    """The gaps above a threshold are those after the context has grown beyond it."""
    model = Mocker()
    engine = Engine(
        model,
        on_first_token=lambda _: None,
        on_finished=lambda _: None,
        slow_gap_ps=decode_ps(1, 50_500, model.kv_tokens, 1),
    )
    job = Job(0, 50_000, 1_001)
    engine.submit(job, 0)
    while engine.next_ps is not None:
        engine.advance(engine.next_ps)
    assert job.slow_gaps == 500
