"""Prompts that end in a number, whose right answer is to count on from it."""

import hashlib
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from benchmarks.workloads.plan import Session
from benchmarks.workloads.prompts import FillerPrompter, Prompt
from serving.counting import count_on
from serving.models import answers

Answer = Callable[[str, int], str]

STARTS = 800  # counting a long answer on from below this stays below 1,000
RESERVE = len(" 799")


class CountingPrompter:
    """For byte-level vocabularies; `answer(text, tokens)` is what must follow a prompt."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._filler = FillerPrompter(bytes_per_token=1.0)

    def prompt(self, session: Session, turn: int, history: str) -> Prompt:
        """The history, words up to the planned length, and a number of this turn's own."""
        digest = hashlib.blake2b(f"{session.id} {turn}".encode(), digest_size=4).digest()
        start = int.from_bytes(digest) % STARTS
        text = self._filler.extended(session, turn, history, RESERVE).rstrip() + f" {start}"
        return Prompt(text, self._answer(text, session.turns[turn].output_tokens))


def answer_of(serving: Mapping[str, Any]) -> Answer:
    """What the engine that these arguments of serving.app:build describe says to a prompt."""
    if serving.get("engine") == "fake":
        return lambda text, tokens: bytes(islice(count_on(text.encode()), tokens)).decode()
    return lambda text, tokens: answers.answer(text, tokens).text
