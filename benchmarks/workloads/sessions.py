"""Multi-turn sessions: what a conversation looks like when no trace says so."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from benchmarks.workloads.plan import Session, Turn


@dataclass(frozen=True, slots=True)
class Shape:
    """The distributions a synthetic conversation is drawn from.

    Turns are geometric with this mean, think times exponential, lengths uniform within a third of
    their mean: short tails on purpose, so that a small run already shows its percentiles.
    """

    turns_mean: float = 1.0
    turns_max: int = 8
    think_s_mean: float = 2.0
    prompt_tokens: int = 64
    output_tokens: int = 64
    shared_tokens: int = 0  # of the first prompt, the beginning that all sessions share


def sessions(
    arrivals: Iterator[float],
    shape: Shape,
    *,
    rng: random.Random,
    duration_s: float,
    phase: str = "",
    slo: str = "",
) -> Iterator[Session]:
    """A session for each arrival before `duration_s`, its turns drawn from `shape`."""
    for index, at_s in enumerate(arrivals):
        if at_s >= duration_s:
            return
        yield Session(
            id=f"{phase or 's'}-{index}-{rng.getrandbits(32):08x}",
            at_s=at_s,
            turns=tuple(_turns(shape, rng)),
            block_tokens=max(1, shape.shared_tokens),
            phase=phase,
            slo=slo,
        )


def named(sessions: Iterable[Session], block_tokens: int, shared_tokens: int) -> Iterator[Session]:
    """The same conversations with their blocks named: the shared beginning, then each its own.

    The names of a turn reach to the end of its answer, which the next prompt holds.
    """
    shared = shared_tokens // block_tokens
    for index, session in enumerate(sessions):
        longest = session.turns[-1].prompt_tokens + session.turns[-1].output_tokens
        own = (index + 1) << 32
        names = tuple(
            block if block < shared else own + block for block in range(longest // block_tokens)
        )
        turns = tuple(
            replace(turn, blocks=names[: (turn.prompt_tokens + turn.output_tokens) // block_tokens])
            for turn in session.turns
        )
        yield replace(session, turns=turns, block_tokens=block_tokens)


def _turns(shape: Shape, rng: random.Random) -> Iterator[Turn]:
    context_tokens = shape.shared_tokens
    go_on = 1 - 1 / max(1.0, shape.turns_mean)
    for index in range(shape.turns_max):
        if index and rng.random() >= go_on:
            return
        context_tokens += _near(shape.prompt_tokens, rng)
        output_tokens = _near(shape.output_tokens, rng)
        think_s = rng.expovariate(1 / shape.think_s_mean) if index and shape.think_s_mean else 0.0
        # One block, named alike in every session, is the beginning they share.
        blocks = (0,) if shape.shared_tokens else ()
        yield Turn(context_tokens, output_tokens, think_s, blocks)
        context_tokens += output_tokens


def _near(mean: int, rng: random.Random) -> int:
    return max(1, round(mean * rng.uniform(2 / 3, 4 / 3)))
