"""Mooncake's traces replayed with the mocker's rules."""

import json
from dataclasses import replace

import pytest

from benchmarks.routing.mocked import Figures, figures_of, replay
from benchmarks.routing.mocker import KV, PUBLISHED, rows
from benchmarks.routing.mooncake import replayed
from router.sim.mocker import prefill_ps
from router.sim.rivals.dynamo_kv import DynamoKv
from router.sim.rivals.simple import RoundRobin


@pytest.fixture
def trace(tmp_path):
    """Two requests that share their first block, six seconds apart."""
    path = tmp_path / "trace.jsonl"
    rows = [
        {"timestamp": 0, "input_length": 1100, "output_length": 200, "hash_ids": [0, 1, 2]},
        {"timestamp": 6000, "input_length": 700, "output_length": 1, "hash_ids": [0, 3]},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_blocks_are_split_and_the_answers_have_their_own(trace):
    """64 of the engine's 512: 17 full blocks of prompt, and three that the answer fills."""
    first, second = replayed(trace, 64, 2.0)
    names = first.turns[0].blocks
    assert names[:17] == tuple(range(17))
    assert len(names) == 20
    assert len(set(names) | set(second.turns[0].blocks)) == 20 + 2
    assert (first.at_ns, second.at_ns) == (0, 3_000_000_000)


def test_a_block_that_does_not_divide_the_traces_is_refused(trace):
    """Half a name means nothing."""
    with pytest.raises(ValueError, match="divide"):
        next(replayed(trace, 100, 1.0))


def test_a_replay_without_a_queue_is_the_prefill_alone(trace):
    """No network, no load: the first token is there when the uncached prompt is computed."""
    records = replay(replayed(trace, 64, 1.0), 1, 64, RoundRobin())
    assert [record.cached_tokens for record in records] == [0, 512]
    prefills_ns = [prefill_ps(1100) / 1000, prefill_ps(700 - 512) / 1000]
    assert [record.ttft_ns for record in records] == pytest.approx(prefills_ns, abs=1)
    assert figures_of(records).hit_share == 512 / 1800


def test_a_figure_off_by_more_than_the_tolerance_does_not_agree(trace):
    """Nor does anything that this small trace gives."""
    figures = figures_of(replay(replayed(trace, 64, 1.0), 1, 64, RoundRobin()))
    assert not any(row.agrees for published in PUBLISHED for row in rows(published, [figures]))


def test_a_figure_that_is_drawn_may_be_as_far_off_as_a_further_draw():
    """Three standard deviations, and what the published digits leave open."""
    kv = next(published for published in PUBLISHED if published.router == KV)
    drawn = [Figures(1, kv.ttft_mean_ms + off, kv.ttft_p95_ms, 0.17) for off in (2.0, 4.0, 6.0)]
    mean, *_ = rows(kv, drawn)
    assert (mean.ours, mean.deviation) == (kv.ttft_mean_ms + 4.0, 2.0)
    assert mean.agrees
    mean, *_ = rows(kv, [replace(one, ttft_mean_ms=one.ttft_mean_ms + 3.0) for one in drawn])
    assert not mean.agrees


def test_workers_that_tell_of_each_step_are_known_to_have_what_they_computed(trace):
    """The second request goes where its beginning is, whichever worker chance gave the first."""
    homes = set()
    for seed in range(6):
        first, second = replay(
            replayed(trace, 64, 1.0),
            4,
            64,
            DynamoKv(hears_steps=True),
            tells_steps=True,
            seed=seed,
        )
        assert second.endpoint == first.endpoint
        assert second.cached_tokens == 512
        homes.add(first.endpoint)
    assert len(homes) > 1
