"""What a step of an engine costs on some hardware, and how much it holds.

Engine time is integer picoseconds: the closed forms of `router.sim.engine` are then exact, and a
coefficient of a few nanoseconds per token pair keeps its digits.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from router.sim.job import Job
from router.sim.run import Run

PS_PER_NS = 1_000
PS_PER_MS = 1_000_000_000


class EngineModel(Protocol):
    """What an engine asks of its hardware: `Profile` below, or `router.sim.mocker`."""

    @property
    def name(self) -> str:
        """What tables call it."""
        ...

    @property
    def kv_blocks(self) -> int:
        """Blocks that the KV cache holds."""
        ...

    @property
    def block_tokens(self) -> int:
        """Tokens of a block."""
        ...

    @property
    def seqs_max(self) -> int:
        """Requests that run at once."""
        ...

    @property
    def step_tokens_max(self) -> int:
        """Tokens that one step computes, those of decoding requests included."""
        ...

    @property
    def kv_tokens(self) -> int:
        """Tokens that the KV cache holds."""
        ...

    @property
    def admits_whole(self) -> bool:
        """Whether a request is admitted only where all of it fits, not only its first chunk."""
        ...

    def decode_run(self, now_ps: int, steps: int, sequences: int, context_tokens: int) -> Run:
        """So many steps that only decode, from `now_ps` on."""
        ...

    def step_ps(
        self, chunks: Sequence[tuple[Job, int]], sequences: int, context_tokens: int
    ) -> int:
        """The time of a step that computes each job of `chunks` up to a token, beside decoding."""
        ...


@dataclass(frozen=True, slots=True)
class Profile:
    """The cost of a step, and what the engine holds.

    A step that prefills P tokens and decodes n sequences with C tokens of context takes

        max(prefill_base if P, decode_base if n)
        + prefill_token * P + prefill_pair * sum(end^2 - start^2 over the prefilled chunks)
        + decode_seq * n + decode_context * C

    picoseconds, so that a prompt of N tokens costs the same pairs, N^2, in whatever chunks.
    """

    name: str
    prefill_base_ps: int
    prefill_token_ps: int
    prefill_pair_ps: int
    decode_base_ps: int
    decode_seq_ps: int
    decode_context_ps: int
    kv_blocks: int = 16_384
    block_tokens: int = 16
    seqs_max: int = 256
    step_tokens_max: int = 8_192

    def __post_init__(self) -> None:
        if self.step_tokens_max < self.seqs_max:
            raise ValueError(
                f"step_tokens_max ({self.step_tokens_max}) must hold a token of each of "
                f"seqs_max ({self.seqs_max}) sequences"
            )

    @property
    def kv_tokens(self) -> int:
        """Tokens that the KV cache holds."""
        return self.kv_blocks * self.block_tokens

    @property
    def admits_whole(self) -> bool:
        """No: blocks are taken chunk by chunk."""
        return False

    def decode_run(self, now_ps: int, steps: int, sequences: int, context_tokens: int) -> Run:
        """Step times grow by the same amount each: every sequence gains a token of context."""
        first_ps = (
            self.decode_base_ps
            + self.decode_seq_ps * sequences
            + self.decode_context_ps * context_tokens
        )
        growth_ps = self.decode_context_ps * sequences
        duration_ps = first_ps * steps + growth_ps * (steps * (steps - 1) // 2)
        return Run(now_ps, now_ps + duration_ps, steps, first_ps, growth_ps, (), False)

    def step_ps(
        self, chunks: Sequence[tuple[Job, int]], sequences: int, context_tokens: int
    ) -> int:
        """The time of any step; see the class for its formula."""
        tokens = pairs = 0
        for job, end in chunks:
            start = job.computed
            tokens += end - start
            pairs += end * end - start * start
        base = max(self.prefill_base_ps if tokens else 0, self.decode_base_ps if sequences else 0)
        return (
            base
            + self.prefill_token_ps * tokens
            + self.prefill_pair_ps * pairs
            + self.decode_seq_ps * sequences
            + self.decode_context_ps * context_tokens
        )
