"""Mooncake's traces as an engine with blocks of its own size sees them, timestamps as recorded."""

from collections.abc import Iterator
from pathlib import Path

from benchmarks.workloads.traces import MOONCAKE_BLOCK_TOKENS, read_trace
from router.policy.units import ns
from router.sim.plan import SimSession, SimTurn

CONVERSATION = "mooncake/conversation_trace.jsonl.gz"
SYNTHETIC = "mooncake/synthetic_trace.jsonl.gz"


def replayed(path: Path, block_tokens: int, speed: float) -> Iterator[SimSession]:
    """Each request at its time divided by `speed`, with a name for every full block.

    A block of the trace holds several of the engine's, which must divide it. Blocks that the answer
    fills are named too, though nobody shares them: engines keep them cached all the same.
    """
    if MOONCAKE_BLOCK_TOKENS % block_tokens:
        raise ValueError(f"{block_tokens} does not divide the trace's {MOONCAKE_BLOCK_TOKENS}")
    parts = MOONCAKE_BLOCK_TOKENS // block_tokens
    own = 0
    for session in read_trace(path, rng=None):
        turn = session.turns[0]
        full = turn.prompt_tokens // block_tokens
        names = [block * parts + part for block in turn.blocks for part in range(parts)][:full]
        answered = (turn.prompt_tokens + turn.output_tokens) // block_tokens - len(names)
        names += range(own - 1, own - 1 - answered, -1)
        own -= answered
        simulated = SimTurn(turn.prompt_tokens, turn.output_tokens, 0, tuple(names))
        yield SimSession(session.id, ns(session.at_s / speed), (simulated,))
