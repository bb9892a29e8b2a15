"""What a cluster is told: fewer replicas once no stream is left; no job ends before its time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy.loan_step import (
    CHECKPOINT_MAX_NS,
    PLACE_MAX_NS,
    Borrower,
    EndJob,
    Scale,
    ServeReplica,
    ServeSight,
    Wait,
    goes_first,
    next_step,
    overdue,
)
from router.policy.units import NS_PER_S

GRACE_NS = 60 * NS_PER_S
FIRST, LATEST = Borrower("first", 1), Borrower("latest", 2)


def sight(target=2, placed=2, configured=2, waiting=0):
    replicas = [ServeReplica(f"home/{one}", "node", one, runs=True) for one in range(placed)]
    return ServeSight(
        configured, target, (*replicas, *[ServeReplica("", "", 9, runs=False)] * waiting)
    )


def step(seen, lent=0, streams=0, borrowers=(), told=(), taken_back_ns=None, now=0):
    told_ns = dict(told)
    return next_step(seen, lent, streams, borrowers, told_ns, taken_back_ns, GRACE_NS, now)


def test_serve_runs_fewer_once_no_stream_is_left():
    """And as many again as soon as they are taken back, whoever still has their place."""
    assert step(sight(), lent=1, streams=1) == Wait()
    assert step(sight(), lent=1) == Scale(1)
    assert step(sight(target=1, placed=1), lent=1) == Wait()
    assert step(sight(target=1, placed=1), borrowers=[FIRST]) == Scale(2)
    assert step(sight(), lent=5) == Scale(0)


def test_replicas_that_somebody_else_added_are_not_stopped_where_nothing_is_lent():
    """Streams run there of which no loan has been told to keep away."""
    assert step(sight(target=4, placed=4)) == Wait()
    assert step(sight(target=4, placed=4), lent=1) == Scale(1)


def test_a_borrower_is_told_to_end_after_its_grace():
    """One at a time, the latest first, and only while a replica finds no place."""
    seen, both, now = sight(placed=1, waiting=1), [FIRST, LATEST], GRACE_NS
    assert step(seen, borrowers=both, taken_back_ns=0, now=now - 1) == Wait()
    assert step(seen, borrowers=both, taken_back_ns=0, now=now) == EndJob("latest")
    told = {"latest": now}
    assert step(seen, borrowers=both, told=told, taken_back_ns=0, now=now + 1) == Wait()
    assert step(seen, borrowers=[FIRST], taken_back_ns=0, now=now + 2) == EndJob("first")
    late = now + CHECKPOINT_MAX_NS
    assert step(seen, borrowers=both, told=told, taken_back_ns=0, now=late) == EndJob("first")
    assert step(sight(), borrowers=both, taken_back_ns=0, now=late) == Wait()


def test_a_replica_that_still_loads_has_its_place():
    """A large model takes minutes to load, and nobody has to end for it."""
    loads = (
        ServeReplica("home/0", "node", 0, runs=True),
        ServeReplica("", "node", 1, runs=False),
    )
    seen = ServeSight(2, 2, loads)
    assert step(seen, borrowers=[FIRST], taken_back_ns=0, now=2 * GRACE_NS) == Wait()


@pytest.mark.parametrize(
    ("replicas", "order"),
    [
        ((("a", "head", 9), ("b", "other", 1)), ["b", "a"]),
        ((("a", "x", 1), ("b", "x", 2), ("c", "y", 0)), ["c", "b", "a"]),
        ((("a", "x", 2), ("b", "x", 1)), ["a", "b"]),
    ],
)
def test_they_go_as_serve_would_have_them_go(replicas, order):
    """Off the head node first, then whole nodes, then the newest."""
    seen = ServeSight(
        9, 9, tuple(ServeReplica(*one, runs=True) for one in replicas), head_node="head"
    )
    assert list(goes_first(seen)) == order


@given(
    st.integers(0, 4),
    st.integers(0, 4),
    st.integers(0, 4),
    st.integers(0, 6),
    st.integers(0, 2),
    st.lists(st.sampled_from([FIRST, LATEST]), unique=True),
    st.none() | st.just(0),
    st.integers(0, 3 * GRACE_NS),
)
def test_whatever_is_seen_the_steps_lead_to_what_is_kept(
    configured, target, placed, lent, streams, borrowers, taken_back_ns, now
):
    """No stream is broken for it, and no job is ended that need not be."""
    placed = min(placed, configured)
    seen = sight(target, placed, configured)
    kept = max(0, configured - lent)
    does = step(seen, lent, streams, borrowers, (), taken_back_ns, now)
    if target < kept or (target > kept and lent and not streams):
        assert does == Scale(kept)
    elif isinstance(does, EndJob):
        assert placed < kept == target
        assert taken_back_ns is not None
        assert now - taken_back_ns >= GRACE_NS
    else:
        assert does == Wait()


def test_replicas_that_do_not_come_back_though_all_was_done_have_a_reason():
    """Somebody has to look: a job that ignores its end, or whoever else has the room."""

    def why(borrowers, told=(), now=GRACE_NS + PLACE_MAX_NS):
        seen = sight(placed=1, waiting=1)
        return overdue(seen, 0, borrowers, dict(told), 0, GRACE_NS, now)

    assert "no job there says that it borrows" in why([])
    assert why([], now=GRACE_NS + PLACE_MAX_NS - 1) == ""
    told, late = {"first": GRACE_NS}, GRACE_NS + CHECKPOINT_MAX_NS
    assert why([FIRST], told, late - 1) == ""
    assert "the job first was told to end more than 15 min ago" in why([FIRST], told, late)
    assert why([FIRST, LATEST], told, late) == ""
    assert overdue(sight(), 0, [], {}, 0, GRACE_NS, late) == ""
