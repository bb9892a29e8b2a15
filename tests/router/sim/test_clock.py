"""The order of events, in virtual time."""

from router.sim.clock import Clock


def test_equal_times_keep_their_order_and_the_last_come_last():
    """Also after what is set for the same instant while it passes."""
    clock, seen = Clock(), []
    clock.last_at(5, seen.append, "first step")
    clock.at(5, lambda: clock.at(5, seen.append, "set meanwhile"))
    clock.last_at(5, seen.append, "second step")
    clock.at(5, seen.append, "an arrival")
    clock.at(4, seen.append, "before")
    clock.run()
    assert seen == ["before", "an arrival", "set meanwhile", "first step", "second step"]


def test_what_is_past_is_done_at_once():
    """Time does not go back."""
    clock, seen = Clock(), []
    clock.at(5, lambda: clock.at(1, lambda: seen.append(clock.now)))
    clock.at(5, lambda: clock.last_at(2, lambda: seen.append(clock.now)))
    clock.run()
    assert seen == [5, 5]
