"""Each way in which a stream can be broken is told from the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.chaos.difference import Difference, difference
from serving.models.answers import answer

WANTED = answer("Count from 417", 200).token_ids


def test_a_whole_answer_is_right():
    """And so is one that broke off with an honest status, as far as it goes."""
    assert difference(WANTED, WANTED, complete=True).is_none
    assert difference(WANTED[:70], WANTED, complete=False).is_none


@pytest.mark.parametrize("at", [0, 1, 70, 187])
@pytest.mark.parametrize("count", [1, 3, 12])
def test_a_gap_is_lost_tokens(at, count):
    """Wherever it is, and whatever its length."""
    cut = WANTED[:at] + WANTED[at + count :]
    assert difference(cut, WANTED, complete=True) == Difference(lost=count)


@pytest.mark.parametrize("at", [1, 70, 188])
def test_a_splice_too_early_repeats(at):
    """Tokens that came again count once each."""
    count = min(at, 9)
    twice = WANTED[:at] + WANTED[at - count :]
    assert difference(twice, WANTED, complete=True) == Difference(repeated=count)


def test_an_ok_that_comes_too_early_loses_the_rest():
    """A status of OK says that the answer is whole."""
    assert difference(WANTED[:150], WANTED, complete=True) == Difference(lost=50)


def test_another_generation_is_wrong():
    """A splice of two answers shows from the seam on."""
    other = answer("Count from 5417", 200).token_ids
    spliced = WANTED[:100] + other[100:]
    found = difference(spliced, WANTED, complete=True)
    assert found.wrong > 50


@given(st.lists(st.sampled_from(WANTED), max_size=60), st.booleans())
def test_it_ends_and_finds_none_only_where_there_is_none(tokens, complete):
    """Whatever was given."""
    found = difference(tokens, WANTED, complete=complete)
    right = tokens == (WANTED if complete else WANTED[: len(tokens)])
    assert found.is_none == right
