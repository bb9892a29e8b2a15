"""What levels tell each other of one request, read and bounded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.live.below import NOTHING, read_below
from router.live.descent import descent, read_descent
from router.live.hops import HOPS_MAX, read_hops
from wire.counts import COUNT_DIGITS_MAX
from wire.status import CallError

pairs = st.lists(
    st.tuples(
        st.sampled_from(
            ["x-spillway-attempts", "x-spillway-resumed", "x-spillway-path", "x-spillway-endpoint"]
        ),
        st.text(max_size=30) | st.binary(max_size=10) | st.integers().map(str),
    )
)


@given(pairs)
def test_whatever_a_router_below_says_is_bounded(trailers):
    """Counts that could be, and a path of sensible length."""
    below = read_below(trailers)
    assert 1 <= below.attempts < 10_000
    assert 0 <= below.resumed < 10_000
    assert len(below.path) <= 1_024


def test_a_replica_says_nothing_of_attempts():
    assert read_below(None) == NOTHING
    assert read_below([("x-spillway-endpoint", "a")]) == NOTHING


def test_the_path_goes_on_from_the_level_below():
    """Two levels down there is a path, one level down an endpoint."""
    said = [("x-spillway-attempts", "2"), ("x-spillway-endpoint", "a/b")]
    assert read_below(said) == (2, 0, "a/b")
    assert read_below([*said, ("x-spillway-path", "a/b > c/d")]).path == "a/b > c/d"


@given(st.integers(-5, 10**12), st.integers(0, 10**18))
def test_what_is_left_is_read_as_it_was_said(attempts, waited_ns):
    """To the millisecond, one attempt is always left, and nothing is said that would be refused."""
    most = 10**COUNT_DIGITS_MAX - 1
    read = read_descent(dict(descent(attempts, waited_ns)))
    assert read == (min(max(1, attempts), most), min(waited_ns // 10**6, most) * 10**6)


@pytest.mark.parametrize("value", ["-1", "x", "", "1e3", "\u0663", "9" * 20, b"1"])
def test_what_is_no_count_is_a_bad_request(value):
    for key in ("x-spillway-attempts-left", "x-spillway-waited-ms"):
        with pytest.raises(CallError, match=key):
            read_descent({key: value})


@given(st.text(max_size=60) | st.binary(max_size=10))
def test_any_list_of_hops_is_read_or_refused(value):
    """And what is read has room for one more."""
    try:
        hops = read_hops({"x-spillway-hops": value}, "me")
    except CallError:
        return
    assert 0 < len(hops) < HOPS_MAX
    assert "me" not in hops
