"""What a step of an engine costs on some hardware, and how much it holds.

Engine time is integer picoseconds: the closed forms of `router.sim.engine` are then exact, and a
coefficient of a few nanoseconds per token pair keeps its digits.
"""

from dataclasses import dataclass

PS_PER_NS = 1_000
PS_PER_MS = 1_000_000_000


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

    def decode_ps(self, sequences: int, context_tokens: int) -> int:
        """The time of a step that only decodes."""
        return (
            self.decode_base_ps
            + self.decode_seq_ps * sequences
            + self.decode_context_ps * context_tokens
        )

    def step_ps(
        self, prefill_tokens: int, prefill_pairs: int, sequences: int, context_tokens: int
    ) -> int:
        """The time of any step; see the class for its formula."""
        base = max(
            self.prefill_base_ps if prefill_tokens else 0, self.decode_base_ps if sequences else 0
        )
        return (
            base
            + self.prefill_token_ps * prefill_tokens
            + self.prefill_pair_ps * prefill_pairs
            + self.decode_seq_ps * sequences
            + self.decode_context_ps * context_tokens
        )
