"""What a watcher has yet to hear of the cached blocks."""

from hypothesis import given
from hypothesis import strategies as st

from serving.engine import PrefixBlocks
from serving.prefix_backlog import CHANGES_MAX, PrefixBacklog, PrefixSet

BLOCKS = st.lists(st.integers(0, 20), max_size=5)
CHANGES = st.builds(PrefixBlocks, st.sampled_from([False] * 9 + [True]), BLOCKS, BLOCKS)


def hear(known, change):
    """How a watcher takes a change in."""
    if change.reset:
        known.clear()
    known.difference_update(change.removed)
    known.update(change.added)


@given(st.lists(CHANGES | st.none(), max_size=30))
def test_a_watcher_that_has_heard_all_knows_the_set(events):
    """However changes and reports alternate (None: a report is sent), they end up the same."""
    prefixes, known = PrefixSet(), set()
    backlog = PrefixBacklog(prefixes)
    for event in [*events, None]:
        if event is not None:
            prefixes.apply(event)
        elif (change := backlog.take()) is not None:
            hear(known, change)
    assert known == prefixes.blocks
    assert not backlog


def test_a_large_set_comes_in_parts():
    prefixes = PrefixSet()
    prefixes.apply(PrefixBlocks(added=range(CHANGES_MAX + 1)))
    backlog = PrefixBacklog(prefixes)
    first, second = backlog.take(), backlog.take()
    assert (first.reset, len(first.added)) == (True, CHANGES_MAX)
    assert (second.reset, len(second.added)) == (False, 1)
    assert backlog.take() is None


def test_a_backlog_is_bounded_by_starting_over():
    """A watcher that never reads costs no more than the cache itself and a constant."""
    prefixes = PrefixSet()
    backlog = PrefixBacklog(prefixes)
    backlog.take()
    for start in range(0, 40 * CHANGES_MAX, 100):
        prefixes.apply(
            PrefixBlocks(added=range(start, start + 100), removed=range(start - 100, start))
        )
        assert len(backlog._pending) <= len(prefixes.blocks) + CHANGES_MAX
    known = set()
    hear(known, backlog.take())
    assert known == prefixes.blocks


def test_a_backlog_goes_with_its_watcher():
    prefixes = PrefixSet()
    backlog = PrefixBacklog(prefixes)
    del backlog
    assert not list(prefixes.backlogs)
