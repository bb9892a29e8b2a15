"""What the engine is asked: prompts whose right answers are known without an engine.

The built-in model looks back 16 tokens, but for a note, which it finds anywhere in its context. So
most prompts ask for one that stands at their beginning, pages away: attention that read a wrong
page there, or none, would count from somewhere else.
"""

from dataclasses import dataclass

from serving.models.answers import (
    answer,
    count_prompt,
    note_of,
    recall_prompt,
    recite_prompt,
)

BLOCK_SIZE = 32
"""Tokens of a page: what vLLM's own CPU attention takes least."""

FILLER = "The ferry leaves when the bell has rung twice, and nobody has counted the gulls. " * 4


@dataclass(frozen=True)
class Act:
    """Prompts that are asked at once, and how many tokens each shall get."""

    name: str
    prompts: tuple[str, ...]
    new_tokens: int

    @property
    def answers(self) -> list[list[int]]:
        """The right ones."""
        return [answer(prompt, self.new_tokens).token_ids for prompt in self.prompts]


def prompt_of(tokens: int, start: int) -> str:
    """A prompt of so many tokens (the first marks its beginning) to count from `start`."""
    question = count_prompt(start)
    return count_prompt(start, f"{start} {FILLER}"[: tokens - 1 - len(question)])


def recall_of(tokens: int, number: int) -> str:
    """A prompt of so many tokens to count from a note at its beginning."""
    question = recall_prompt("")
    return recall_prompt(f"{note_of(number)} {FILLER}"[: tokens - 1 - len(question)])


EDGES = tuple(BLOCK_SIZE * pages + off for pages in (1, 2) for off in (-1, 0, 1))

ACTS = (
    # Prompts around page edges, and their answers over the edges; four run, the others follow, so
    # that prompts and decode rows share steps.
    Act("page edges", tuple(recall_of(length, 100 + length) for length in EDGES), 6),
    # Longer than a step's budget, twice, while a short one is decoded.
    Act("chunked prefill", (prompt_of(30, 7), recall_of(200, 431)), 8),
    # The same pages again, and another ending after them.
    Act("prefix hits", (recall_of(200, 431), recall_of(200, 431) + " 4", recite_prompt()), 8),
    # Four of 3 pages that grow to 4: 16 where there are 13.
    Act("preemption", tuple(recall_of(92, 800 + row) for row in range(4)), 16),
)
