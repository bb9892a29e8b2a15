"""The fake engine's answers."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.counting import count_on


def say(text: str, length: int) -> str:
    return bytes(islice(count_on(text.encode()), length)).decode()


@pytest.mark.parametrize(
    ("prompt", "answer"),
    [
        ("7", " 8 9 10 11"),
        ("count from 98", " 99 100 101"),
        ("no number", " 0 1 2 3"),
        ("no number ", "0 1 2 3"),
        ("8 9 1", "0 11 12"),
        ("8 9 ", "10 11"),
        ("5 1", " 2 3"),
        ("0", " 1 2"),
    ],
)
def test_it_counts_on(prompt, answer):
    assert say(prompt, len(answer)) == answer


@given(st.integers(0, 10**12), st.integers(0, 60), st.integers(1, 60))
def test_an_answer_continues_wherever_it_is_cut(start, cut, more):
    """What makes a resumed stream checkable: prompt and delivered part determine what follows."""
    prompt = f"from {start}"
    whole = say(prompt, cut + more)
    assert say(prompt + whole[:cut], more) == whole[cut:]
