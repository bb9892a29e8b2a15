"""The margin from a mean gap to a promised one is learned at the edge of the objective."""

import random

import pytest

from router.policy.gap_tail import GapTail

OBJECTIVE_NS = 100e6


@pytest.mark.parametrize("tail", [1.1, 1.5, 2.2])
def test_the_margin_finds_the_ratio_of_tail_to_mean(tail):
    """Streams keep their objective up to a mean of 100 ms / tail: the margin ends near the tail."""
    learned, rng = GapTail(1.25), random.Random(5)
    for _ in range(2_000):
        gap_ns = rng.uniform(20e6, 100e6)
        slow = gap_ns * tail > OBJECTIVE_NS
        learned.add(gap_ns, 0.2 if slow else 0.0, OBJECTIVE_NS, 0.9)
    assert 0.85 * tail < learned.margin < 1.35 * tail


def test_streams_far_from_the_edge_say_nothing():
    """Calm that lasts for hours does not talk the margin down, nor does a flood talk it up."""
    learned = GapTail(1.5)
    for _ in range(1_000):
        learned.add(10e6, 0.0, OBJECTIVE_NS, 0.9)
        learned.add(500e6, 1.0, OBJECTIVE_NS, 0.9)
    assert learned.margin == 1.5


def test_a_stream_keeps_its_objective_with_a_twentieth_of_its_gaps_above():
    """The objective is about the p95."""
    tail = GapTail(1.5)
    tail.add(60e6, 0.06, OBJECTIVE_NS, 0.9)
    missed = tail.margin
    assert missed > 1.5
    tail.add(60e6, 0.05, OBJECTIVE_NS, 0.9)
    assert 1.5 < tail.margin < missed


def test_what_was_believed_at_first_is_not_talked_down():
    """However many keep their objective: those that miss it are known a whole batch too late."""
    tail = GapTail(1.25)
    for _ in range(1_000):
        tail.add(78e6, 0.0, OBJECTIVE_NS, 0.9)
    assert tail.margin == 1.25


def test_where_the_batch_does_not_slow_streams_none_are_turned_away():
    """Gaps of 23 ms, 20 of them a stream's own: whatever makes some long, it is not the batch."""
    tail = GapTail(2.5)
    assert tail.flows(23e6, 20e6, 50e6)
    assert not tail.flows(35e6, 20e6, 50e6)
