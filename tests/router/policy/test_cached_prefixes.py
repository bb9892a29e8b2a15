"""What a router tells the one above of the prefixes that its endpoints have."""

from hypothesis import given
from hypothesis import strategies as st

from router.policy.cached_prefixes import CachedPrefixes
from router.policy.load import LoadReport


def heard(cached, watcher):
    """Bring a watcher's set and number up to date."""
    known, number = watcher
    changes = cached.changes_since(number)
    known = set() if changes.reset else set(known)
    return (known - set(changes.removed)) | set(changes.added), changes.number


def begun(marks_max=100):
    cached = CachedPrefixes(marks_max)
    return cached, heard(cached, (set(), 0))


def test_nothing_is_kept_before_somebody_asks():
    cached = CachedPrefixes(10)
    cached.add([1, 2], "a")
    assert len(cached) == 0


def test_changes_are_told_once():
    cached, watcher = begun()
    cached.add([1, 2], "a")
    watcher = heard(cached, watcher)
    assert watcher[0] == {1, 2}
    again = cached.changes_since(watcher[1])
    assert (again.reset, again.added, again.removed) == (False, (), ())


def test_the_tails_of_the_oldest_make_place():
    """A prefix is worth nothing without what it begins with."""
    cached, watcher = begun(4)
    cached.add([1, 2, 3], "a")
    cached.add([7, 8], "b")
    assert heard(cached, watcher)[0] == {1, 2, 7, 8}


def test_what_is_evicted_or_lost_is_taken_back():
    """But not where the prompt has been sent elsewhere since."""
    cached, watcher = begun()
    cached.add([1, 2], "a")
    cached.add([3], "b")
    cached.add([2], "b")
    first = LoadReport("a", "i1", 1, prefix_removed=(1, 2))
    cached.hear(first, None)
    watcher = heard(cached, watcher)
    assert watcher[0] == {2, 3}
    cached.add([9], "a")
    cached.hear(LoadReport("a", "i2", 1), first)
    cached.forget("b")
    assert heard(cached, watcher)[0] == set()


steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.lists(st.integers(0, 30), max_size=6), st.sampled_from("abc")),
        st.tuples(st.just("forget"), st.just([]), st.sampled_from("abc")),
        st.tuples(
            st.just("hear"), st.lists(st.integers(0, 30), max_size=6), st.sampled_from("abc")
        ),
        st.tuples(st.just("ask"), st.just([]), st.just("")),
    ),
    max_size=60,
)


@given(steps)
def test_whoever_asks_knows_what_is_kept(taken):
    """Whatever happens, and however often it is asked; the number of marks is bounded."""
    cached, watcher = begun(12)
    other = watcher
    for what, marks, endpoint in taken:
        if what == "add":
            cached.add(marks, endpoint)
        elif what == "forget":
            cached.forget(endpoint)
        elif what == "hear":
            cached.hear(LoadReport(endpoint, "i", 1, prefix_removed=tuple(marks)), None)
        else:
            watcher = heard(cached, watcher)
        assert len(cached) <= 12
    everything = heard(cached, (set(), 0))[0]
    assert heard(cached, watcher)[0] == heard(cached, other)[0] == everything
