"""Prompts that end in a number, whose right answer is to count on from it."""

import hashlib
from collections.abc import Callable

from benchmarks.workloads.plan import Session
from benchmarks.workloads.prompts import FillerPrompter, Prompt

STARTS = 800  # counting a long answer on from below this stays below 1,000
RESERVE = len(" 799")


class CountingPrompter:
    """For byte-level vocabularies; `answer(text, tokens)` is what must follow a prompt."""

    def __init__(self, answer: Callable[[str, int], str]) -> None:
        self._answer = answer
        self._filler = FillerPrompter(bytes_per_token=1.0)

    def prompt(self, session: Session, turn: int, history: str) -> Prompt:
        """The history, words up to the planned length, and a number of this turn's own."""
        digest = hashlib.blake2b(f"{session.id} {turn}".encode(), digest_size=4).digest()
        start = int.from_bytes(digest) % STARTS
        text = self._filler.extended(session, turn, history, RESERVE).rstrip() + f" {start}"
        return Prompt(text, self._answer(text, session.turns[turn].output_tokens))
