"""How long a request would wait in a lane, and what that is believed from."""

from router.policy.lane import Lane
from router.policy.need import LaneKey
from router.policy.request import Request
from router.policy.units import NS_PER_S
from router.policy.waiting import Waiting

WORK = 100.0


def _entry(name: str) -> Waiting:
    return Waiting(Request(name, "m"), LaneKey("m", False), 1, "us", WORK, 0, 0, 0, 0)


def _lane_after_a_bad_spell() -> Lane:
    """One request sent in ten seconds, and nobody waits any more."""
    lane, entry = Lane({}, {1: 1.0}, 5 * NS_PER_S, 0), _entry("a")
    lane.push(entry, 0)
    lane.leave(entry, 10 * NS_PER_S)
    lane.rate.add_sent(WORK, 10 * NS_PER_S)
    return lane


def test_a_bad_spell_is_not_held_against_who_comes_when_nobody_waits():
    """Refused for it, nobody would wait, and what the lane can do would never be seen again."""
    lane = _lane_after_a_bad_spell()
    assert lane.wait_ns(1, "us", WORK, 11 * NS_PER_S) is None


def test_it_counts_again_for_who_comes_behind_the_first_and_is_unlearned():
    """The first that waits starts the clock; what is sent then is what counts."""
    lane, first = _lane_after_a_bad_spell(), _entry("b")
    lane.push(first, 11 * NS_PER_S)
    slow_ns = lane.wait_ns(1, "us", WORK, 11 * NS_PER_S)
    assert slow_ns is not None
    assert slow_ns > 3 * NS_PER_S
    for tenth in range(1, 41):
        lane.rate.add_sent(WORK, 11 * NS_PER_S + tenth * NS_PER_S // 10)
    quick_ns = lane.wait_ns(1, "us", WORK, 15 * NS_PER_S)
    assert quick_ns is not None
    assert quick_ns < NS_PER_S // 2
