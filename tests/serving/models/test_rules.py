"""The rules, put to the vote without a model, say what answers.py says."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serving.models.answers import (
    answer,
    answer_chat,
    answer_to_tokens,
    count_prompt,
    recall_prompt,
    recite_prompt,
)
from serving.models.conditions import NOTE_WIDTH, Linear, features, value_at
from serving.models.cues import WINDOW, cues
from serving.models.rules import rules
from serving.models.vocabulary import ASSISTANT, BEGIN, END, USER, encode, encode_chat

RULES = list(rules())
FEATURES = {token: features(token) for token in range(261)}


def holds(condition: Linear, seen: list[tuple[int, ...]]) -> bool:
    """A condition's sum is 0 only where each of its parts is at its most."""
    return all(
        weight * seen[slot][feature] > 0 for (slot, feature), weight in condition.weights.items()
    )


def noted_in(tokens: list[int]) -> list[int]:
    """The digits of the note, which a head fetches to the slots behind the window."""
    note = re.search(rb"#([0-9]{3})", bytes(token for token in tokens if token < END))
    return [*note[1]] if note else [BEGIN] * NOTE_WIDTH


def elected(tokens: list[int]) -> int:
    """The token with the most votes of the highest level that has any."""
    window = ([BEGIN] * WINDOW + tokens)[: -WINDOW - 1 : -1]
    window += noted_in(tokens)
    seen = [FEATURES[token] for token in window]
    votes: dict[int, dict[int, float]] = {}
    for rule in RULES:
        if holds(rule.when, seen) and (by := value_at(rule.by, window)):
            for token, count in rule.votes.items():
                level = votes.setdefault(rule.level, {})
                level[token] = level.get(token, 0) + count * by
    decisive = max(level for level, cast in votes.items() if any(cast.values()))
    return max(votes[decisive], key=votes[decisive].__getitem__)


def spoken(prompt: list[int], count: int) -> list[int]:
    """What the rules say after the prompt."""
    said: list[int] = []
    while len(said) < count:
        said.append(elected([*prompt, *said]))
    return said


@pytest.mark.parametrize(
    "prompt",
    [
        count_prompt(998),
        "9998",
        "room 99 0",
        "12345",
        "no number",
        recall_prompt("#041"),
        recite_prompt(),
    ],
)
def test_the_rules_answer_a_prompt(prompt):
    """One of each kind."""
    expected = answer(prompt, 16).token_ids
    assert spoken(encode(prompt), len(expected)) == expected


@pytest.mark.parametrize("message", ["Count from 41", "the night ferry.", "Hello?"])
def test_the_rules_answer_a_message(message):
    """One of each kind."""
    prompt, expected = encode_chat([("user", message)]), answer_chat([("user", message)], 16)
    assert spoken(prompt, 16) == expected.token_ids


DIGITLIKE = st.sampled_from([*b"0123456789", *b"0199", *b"    ", *b"ax\xff\n", ASSISTANT, USER])


@settings(max_examples=150, deadline=None)
@given(st.lists(DIGITLIKE, min_size=1, max_size=12))
def test_the_rules_agree_on_numbers_that_break_off_or_do_not_follow(tokens):
    """Digits and separators in any order."""
    prompt = [BEGIN, *tokens]
    assert elected(prompt) == answer_to_tokens(prompt, 1).token_ids[0]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 9999), st.integers(0, 4), st.booleans())
def test_the_rules_agree_on_cut_counts(number, digits, wrong):
    """After some digits of the next number, or of another."""
    after = str(number + (7 if wrong else 1))[:digits]
    prompt = encode(f"from {number} {after}")
    assert elected(prompt) == answer_to_tokens(prompt, 1).token_ids[0]


def test_no_window_is_the_cue_for_two_tokens():
    """A passage may not say one thing twice with different words after it."""
    says = {}
    for cue in cues():
        assert says.setdefault(cue.heard, cue.says) == cue.says
