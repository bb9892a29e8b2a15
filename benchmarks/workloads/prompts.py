"""Plans have lengths; engines need text. A prompter writes a turn's prompt to a planned length."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from benchmarks.workloads.plan import Session
from serving.models.answers import answer, count_prompt

WORDS = (
    *("river", "bridge", "winter", "garden", "letter", "window", "orchard", "market", "engine"),
    *("candle", "forest", "meadow", "copper", "silver", "thunder", "island", "village", "morning"),
    *("evening", "kitchen", "blanket", "lantern", "station", "compass"),
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A turn's whole prompt, and the answer it must get where that is known."""

    text: str
    answer: str | None = None


class Prompter(Protocol):
    """Writes the prompt of a turn; the same session and turn always give the same text."""

    def prompt(self, session: Session, turn: int, history: str) -> Prompt:
        """The prompt of this turn; `history` is the session's text so far, prompts and answers."""
        ...


class FillerPrompter:
    """For any model: words up to the planned length, no known answer.

    `bytes_per_token` turns tokens into text: 1 for a byte-level vocabulary, about 4 for English in
    a usual one.
    """

    def __init__(self, bytes_per_token: float = 4.0) -> None:
        self._bytes_per_token = bytes_per_token

    def prompt(self, session: Session, turn: int, history: str) -> Prompt:
        """The history, extended to the planned length by text of this turn's own."""
        return Prompt(self.extended(session, turn, history))

    def extended(self, session: Session, turn: int, history: str, reserve: int = 0) -> str:
        """The history, extended to the planned length less `reserve` characters."""
        plan = session.turns[turn]
        wanted = max(1, round(plan.prompt_tokens * self._bytes_per_token) - reserve)
        text = history
        if not history:
            block_chars = round(session.block_tokens * self._bytes_per_token)
            text = "".join(filler(f"block {block}", block_chars) for block in plan.blocks)[:wanted]
        if len(text) < wanted:
            text += filler(f"{session.id} {turn}", wanted - len(text))
        return text


Answer = Callable[[str, int], str]
"""The text that must follow a prompt, so many tokens of it."""


def built_in_answer(prompt: str, tokens: int) -> str:
    """What the built-in model says."""
    return answer(prompt, tokens).text


class CheckedPrompter:
    """For engines that count on: the planned length, ending in a number whose count is known.

    Their vocabulary is bytes, so a token of prompt is a byte of text.
    """

    def __init__(self, answer_to: Answer = built_in_answer) -> None:
        self._answer_to = answer_to
        self._filler = FillerPrompter(bytes_per_token=1.0)

    def prompt(self, session: Session, turn: int, history: str) -> Prompt:
        """Text up to the planned length, "Count from N" at its end, and the numbers after N."""
        start = _draw(f"{session.id} {turn}").randrange(1000)
        question = count_prompt(start, before="\n")
        text = self._filler.extended(session, turn, history, reserve=len(question)) + question
        return Prompt(text, self._answer_to(text, session.turns[turn].output_tokens))


def filler(name: str, characters: int) -> str:
    """Words of exactly this many characters, the same for the same name."""
    rng = _draw(name)
    words: list[str] = []
    length = 0
    while length < characters:
        word = rng.choice(WORDS)
        words.append(word)
        length += len(word) + 1
    return (" ".join(words) + " ")[:characters]


def _draw(name: str) -> random.Random:
    return random.Random(hashlib.blake2b(name.encode(), digest_size=8).digest())
