"""Check the made model against answers.py: every start, every passage, in many contexts.

Each right answer is fed to the model behind its prompt, and every token of it must be the model's
own choice at its place. That is the same as generating it, and a hundred times faster.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from serving.models.answers import (
    LAST_NUMBER,
    answer,
    answer_chat,
    answer_to_tokens,
    count_prompt,
    note_of,
    recall_prompt,
    recite_prompt,
)
from serving.models.cues import WINDOW
from serving.models.passages import FERRY, FERRY_NAME
from serving.models.vocabulary import ASSISTANT, BEGIN, USER, encode, encode_chat

STARTS = range(1000)
TOKENS_PER_BATCH = 20_000

Case = tuple[list[int], list[int]]
"""A prompt and its answer."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many tokens were checked and how sure the model was where it was least so."""

    tokens: int
    wrong: int
    margin: float
    """The least difference between the right token's logit and the best other one's."""


def contexts() -> Iterator[tuple[str, list[Case]]]:
    """Groups of cases, each under the words that name it."""
    filler = "Wörter, words, 言葉 and 7 numbers 12 345; "
    turns = [
        ("system", filler * 3),
        ("user", count_prompt(998)),
        ("assistant", answer(count_prompt(998), 40).text.strip()),
    ]
    recited = [*turns, ("user", recite_prompt()), ("assistant", FERRY)]
    yield "every start, 420 tokens", [_raw(count_prompt(n), 420) for n in STARTS]
    yield "every start, alone", [_raw(str(n), 40) for n in STARTS]
    yield "every start, in the second turn", [_chat([*turns, ("user", f"{n}")], 24) for n in STARTS]
    yield (
        "every start, after 100 to 600 bytes of other text",
        [_raw(count_prompt(n, (filler * 16)[: 100 + n // 2]), 40) for n in STARTS],
    )
    yield (
        "every seventh start, after 1,800 to 7,700 characters",
        [_raw(count_prompt(n, (filler * 200)[: 1800 + 6 * n]), 30) for n in STARTS[::7]],
    )
    yield (
        "every seventh start, after a recital",
        [_chat([*recited, ("user", count_prompt(n))], 24) for n in STARTS[::7]],
    )
    yield "every number up to 9,999", [_raw(str(n), 12) for n in range(LAST_NUMBER + 1)]
    yield (
        "every number noted, before up to 3,000 characters",
        [_raw(recall_prompt(note_of(n) + (filler * 80)[: 3 * n]), 12) for n in STARTS],
    )
    yield (
        "every seventh number noted, before a recital",
        [
            _chat([("user", note_of(n)), *recited, ("user", recall_prompt(""))], 12)
            for n in STARTS[::7]
        ],
    )
    shouted = recite_prompt().upper() + "."
    yield (
        "the passage",
        [_raw(f"{filler * 90}{asked}", 1000) for asked in (FERRY_NAME, shouted, FERRY_NAME + "\n")]
        + [_raw(recite_prompt(), 1000), _chat([("user", recite_prompt())], 1000)]
        + [_chat([*recited, ("user", shouted)], 1000)],
    )
    yield "a message that asks for nothing", [_chat([("user", "Hello?")], 200)]
    yield "random endings", list(_random_endings(6000))


def _raw(prompt: str, tokens: int) -> Case:
    return encode(prompt), answer(prompt, tokens).token_ids


def _chat(messages: Sequence[tuple[str, str]], tokens: int) -> Case:
    return encode_chat(messages), answer_chat(messages, tokens).token_ids


def _random_endings(count: int) -> Iterator[Case]:
    """Prompts of digits, spaces and marks, in which numbers begin, break off and do not follow."""
    chance = torch.Generator().manual_seed(2)
    alphabet = [*b"0123456789", *b"0199", *b"    ", *b"ax\n\xff", ASSISTANT, USER]
    for _ in range(count):
        length = int(torch.randint(1, WINDOW + 4, (), generator=chance))
        picks = torch.randint(len(alphabet), (length,), generator=chance)
        prompt = [BEGIN, *(alphabet[pick] for pick in picks)]
        yield prompt, answer_to_tokens(prompt, 12).token_ids
    for number in range(count):
        after = str(number % 1500 + 1)[: number % 4]
        prompt = encode(f"{'x5 '[number % 3 :]}{number % 1500} {after}")
        yield prompt, answer_to_tokens(prompt, 12).token_ids


def judge(model: torch.nn.Module, cases: Sequence[Case]) -> Verdict:
    """Let the model choose at each place of each answer."""
    tokens, wrong, margin = 0, 0, float("inf")
    for batch in _batches(sorted(cases, key=lambda case: len(case[0]) + len(case[1]))):
        longest = max(len(prompt) + len(right) for prompt, right in batch)
        rows = torch.zeros(len(batch), longest, dtype=torch.long)
        for row, (prompt, right) in zip(rows, batch, strict=True):
            row[: len(prompt) + len(right)] = torch.tensor(prompt + right)
        with torch.inference_mode():
            logits = model(rows, use_cache=False).logits.float()
        for row, (prompt, right) in zip(logits, batch, strict=True):
            said = row[len(prompt) - 1 : len(prompt) + len(right) - 1]
            wanted = torch.tensor(right)[:, None]
            ours = said.gather(1, wanted)[:, 0]
            best_other = said.scatter(1, wanted, float("-inf")).max(dim=1).values
            tokens += len(right)
            wrong += int((ours <= best_other).sum())
            margin = min(margin, float((ours - best_other).min()))
    return Verdict(tokens, wrong, margin)


def _batches(cases: Sequence[Case]) -> Iterator[list[Case]]:
    """Cases of similar length, padded at the end, which no earlier token sees."""
    batch: list[Case] = []
    for case in cases:
        if batch and (len(batch) + 1) * (len(case[0]) + len(case[1])) > TOKENS_PER_BATCH:
            yield batch
            batch = []
        batch.append(case)
    if batch:
        yield batch


def load(folder: Path, dtype: torch.dtype) -> torch.nn.Module:
    """The model as transformers loads it."""
    model: torch.nn.Module = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    return model


def main(folder: Path) -> int:
    """Print a line a group; 1 if anything is wrong."""
    failed = False
    for dtype in (torch.float32, torch.bfloat16):
        model = load(folder, dtype)
        for name, cases in contexts():
            began_s = time.monotonic()
            # Rounding to bfloat16 differs by token, not by start: a fifth of the cases shows it.
            verdict = judge(model, cases if dtype == torch.float32 else cases[::5])
            failed |= verdict.wrong > 0
            print(  # noqa: T201
                f"{str(dtype).removeprefix('torch.'):>8}  {verdict.tokens:>8,} tokens, "
                f"{verdict.wrong} wrong, margin {verdict.margin:.2f}, "
                f"{time.monotonic() - began_s:.0f} s: {name}",
                flush=True,
            )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
