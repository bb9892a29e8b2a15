"""Blocks of a conversation are named so that a turn finds what the turns before it left."""

import itertools
import random

from benchmarks.workloads.sessions import Shape, named, sessions

SHAPE = Shape(turns_mean=4, prompt_tokens=100, output_tokens=100, shared_tokens=128)


def some():
    plan = sessions(itertools.repeat(0.0), SHAPE, rng=random.Random(1), duration_s=1.0)
    return list(itertools.islice(named(plan, 32, SHAPE.shared_tokens), 20))


def test_each_turn_extends_the_blocks_of_the_one_before():
    """The next prompt holds this prompt and its answer."""
    for session in some():
        for turn, later in itertools.pairwise(session.turns):
            assert later.blocks[: len(turn.blocks)] == turn.blocks
            assert len(turn.blocks) == (turn.prompt_tokens + turn.output_tokens) // 32


def test_sessions_share_their_beginning_and_nothing_else():
    """128 tokens are four blocks of 32."""
    first, second, *_ = some()
    assert first.turns[-1].blocks[:4] == second.turns[-1].blocks[:4]
    assert not set(first.turns[-1].blocks[4:]) & set(second.turns[-1].blocks)
