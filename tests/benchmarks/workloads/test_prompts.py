"""Prompters write the planned length, and the same text for the same turn."""

import pytest

from benchmarks.workloads.plan import Session, Turn
from benchmarks.workloads.prompts import CheckedPrompter, FillerPrompter, filler
from serving.models.answers import answer

SESSION = Session("s", 0.0, (Turn(200, 30), Turn(400, 10)), block_tokens=64)


def test_a_checked_prompt_has_its_length_and_its_known_answer():
    """The built-in model's own rule gives the answer."""
    first = CheckedPrompter().prompt(SESSION, 0, "")
    assert len(first.text) == 200
    assert first.answer == answer(first.text, 30).text
    history = first.text + first.answer
    second = CheckedPrompter().prompt(SESSION, 1, history)
    assert second.text.startswith(history)
    assert len(second.text) == 400


def test_a_plan_shorter_than_its_history_still_asks():
    """The question follows, however short the plan is."""
    prompt = CheckedPrompter().prompt(SESSION, 0, "x" * 500)
    assert prompt.text.startswith("x" * 500)
    assert prompt.answer


def test_blocks_of_one_name_have_one_content():
    """Sessions that share leading blocks share their text, block by block."""
    one = Session("a", 0.0, (Turn(200, 1, blocks=(7, 8)),), block_tokens=64)
    other = Session("b", 0.0, (Turn(200, 1, blocks=(7, 9)),), block_tokens=64)
    prompter = FillerPrompter(bytes_per_token=1.0)
    texts = [prompter.prompt(session, 0, "").text for session in (one, other)]
    assert texts[0][:64] == texts[1][:64]
    assert texts[0][64:128] != texts[1][64:128]


@pytest.mark.parametrize("characters", [0, 1, 63, 1000])
def test_filler_is_exactly_as_long_as_asked(characters):
    """And the same for the same name."""
    assert len(filler("name", characters)) == characters
    assert filler("name", characters) == filler("name", characters)
