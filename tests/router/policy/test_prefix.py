"""The index of cached prefixes, and the marks it looks at."""

from hypothesis import given
from hypothesis import strategies as st

from router.policy.prefix import POSITIONS, PrefixIndex, marks_of


def _prompt(blocks: int, start: int = 1) -> tuple[int, ...]:
    return tuple(range(start, start + blocks))


def test_marks_are_dense_at_first_and_grow_with_the_logarithm():
    """A hundred thousand tokens in blocks of sixteen have fewer than eighty."""
    assert POSITIONS[:5] == (1, 2, 4, 6, 8)
    assert list(POSITIONS) == sorted(set(POSITIONS))
    assert len(marks_of(_prompt(6250))) < 80


@given(st.integers(1, 3000), st.integers(0, 3000))
def test_a_shared_prefix_is_found_to_within_an_eighth(shared, more):
    """Never more than is shared, and at least seven eighths of it less a block."""
    index = PrefixIndex(65_536, 10**18)
    index.add(marks_of((*_prompt(shared), *_prompt(more, 10**6))), 0)
    asked = (*_prompt(shared), *_prompt(100, 10**7))
    matched = index.matched(marks_of(asked))
    assert matched <= shared
    assert matched >= shared * 7 / 8 - 1


def test_nothing_is_found_of_another_prompt():
    """One that differs in its first block shares nothing."""
    index = PrefixIndex(1000, 10**18)
    index.add(marks_of(_prompt(50)), 0)
    assert index.matched(marks_of(_prompt(50, 500))) == 0
    assert index.matched([]) == 0


@given(st.lists(st.integers(1, 60), max_size=200))
def test_it_holds_no_more_blocks_than_it_may(lengths):
    """However many prompts pass, the index stays within its bound and one prompt more."""
    index = PrefixIndex(100, 10**18)
    for number, blocks in enumerate(lengths):
        index.add(marks_of(_prompt(blocks, 1000 * number)), number)
        assert len(index) <= 100 + 60


def test_unused_blocks_age_and_used_ones_stay():
    """After two half-lives what nobody asked for has gone."""
    index = PrefixIndex(1000, 100)
    used, unused = marks_of(_prompt(20)), marks_of(_prompt(20, 500))
    index.add(unused, 0)
    for now in (0, 60, 120, 180):
        index.add(used, now)
    assert index.matched(used) == 20
    assert index.matched(unused) == 0


def test_what_an_endpoint_reports_corrects_what_was_guessed():
    """Evicted blocks are forgotten, a cleared cache altogether."""
    index = PrefixIndex(1000, 10**18)
    index.add(_prompt(20), 0)
    index.remove(_prompt(10, 11))
    assert index.matched(marks_of(_prompt(20))) == 10
    index.clear()
    assert len(index) == 0
