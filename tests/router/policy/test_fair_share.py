"""Start-time fair queueing by work."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy.fair_share import FairShare


def _serve(share: FairShare[str], waiting: list[str], work: dict[str, float], times: int):
    given_to = dict.fromkeys(waiting, 0.0)
    for _ in range(times):
        party = share.next(waiting)
        share.served(party, work[party])
        given_to[party] += work[party]
    return given_to


def test_work_is_given_in_the_ratio_of_the_weights_whatever_the_requests_sizes():
    """A tenant of long requests is given no more tokens than one of short ones."""
    share = FairShare({"long": 1.0, "short": 3.0})
    given_to = _serve(share, ["long", "short"], {"long": 900.0, "short": 10.0}, 2000)
    assert given_to["short"] / given_to["long"] == pytest.approx(3.0, rel=0.1)


def test_being_idle_saves_nothing_up():
    """One that comes after a while shares from then on, and does not catch up."""
    share = FairShare({})
    _serve(share, ["first"], {"first": 100.0}, 50)
    given_to = _serve(share, ["first", "second"], {"first": 100.0, "second": 100.0}, 50)
    assert given_to["first"] == pytest.approx(given_to["second"], abs=100.0)


def test_what_was_used_alone_is_not_held_against_it():
    """After the other has left and come back, both are served in turn."""
    share = FairShare({})
    _serve(share, ["a", "b"], {"a": 1.0, "b": 1.0}, 10)
    _serve(share, ["a"], {"a": 1.0}, 1000)
    given_to = _serve(share, ["a", "b"], {"a": 1.0, "b": 1.0}, 10)
    assert given_to["a"] >= 4.0


def test_an_answer_that_was_longer_than_taken_is_paid_for():
    """The correction puts the other ahead for as much work."""
    share = FairShare({})
    share.served("a", 10.0)
    share.served("b", 10.0)
    share.correct("a", 50.0)
    given_to = _serve(share, ["a", "b"], {"a": 10.0, "b": 10.0}, 5)
    assert given_to == {"a": 0.0, "b": 50.0}


def test_ahead_of_a_light_party_is_only_its_share_of_a_heavy_ones_backlog():
    """A flood of another's does not delay one who has little waiting."""
    share = FairShare({"light": 1.0, "heavy": 1.0})
    share.served("heavy", 10.0)
    assert share.ahead("light", 20.0, {"heavy": 1e6}) <= 40.0
    assert share.ahead("heavy", 1e6, {"light": 20.0}) == 1e6 + 20.0


@given(
    weights=st.lists(st.floats(0.5, 8.0), min_size=2, max_size=5),
    works=st.lists(st.floats(1.0, 50.0), min_size=200, max_size=200),
)
def test_no_two_backlogged_parties_differ_by_more_than_a_request_of_each(weights, works):
    """The bound of start-time fair queueing, at every moment."""
    share: FairShare[int] = FairShare(dict(enumerate(weights)))
    done = [0.0] * len(weights)
    most = max(works)
    for work in works:
        party = share.next(range(len(weights)))
        share.served(party, work)
        done[party] += work
        normal = [d / w for d, w in zip(done, weights, strict=True)]
        bound = 2 * most / min(weights)
        assert max(normal) - min(normal) <= bound + 1e-6
