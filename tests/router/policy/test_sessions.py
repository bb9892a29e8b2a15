"""The session table."""

import gc
import tracemalloc
from dataclasses import replace

from router.policy.fleet import Limits
from router.policy.hint import Hint
from router.policy.sessions import Session, Sessions
from router.policy.units import NS_PER_S


def test_a_session_is_found_where_it_was_placed_until_it_ages():
    """And counts as placed there."""
    sessions = Sessions(Limits(session_age_max_ns=10 * NS_PER_S))
    sessions.place("a", "home-0", 0)
    found = sessions.find("a", 10 * NS_PER_S)
    assert found is not None
    assert found.endpoint == "home-0"
    assert sessions.placed_at("home-0") == 1
    assert sessions.find("a", 11 * NS_PER_S) is None


def test_the_least_recently_used_goes_first():
    """The table holds no more than it may."""
    sessions = Sessions(Limits(sessions_max=2))
    for now, name in enumerate(["a", "b", "a", "c"]):
        sessions.place(name, "home-0", now)
    assert len(sessions) == 2
    assert sessions.find("b", 4) is None
    assert sessions.find("a", 4) is not None
    assert sessions.placed_at("home-0") == 2


def test_a_move_forgets_the_cache_and_the_old_place():
    """What was cached elsewhere is not cached here."""
    sessions = Sessions(Limits())
    sessions.place("a", "home-0", 0).cached_tokens = 500
    moved = sessions.place("a", "rented-0", 7)
    assert (moved.cached_tokens, moved.moved_ns, moved.turns) == (0, 7, 2)
    assert (sessions.placed_at("home-0"), sessions.placed_at("rented-0")) == (0, 1)


def test_aged_sessions_expire_a_bounded_number_at_a_time():
    """A tick never takes long, and enough ticks clear everything."""
    sessions = Sessions(Limits(session_age_max_ns=1))
    for number in range(2500):
        sessions.place(str(number), "home-0", 0)
    sizes = []
    for _ in range(3):
        sessions.expire(10)
        sizes.append(len(sessions))
    assert sizes == [1500, 500, 0]
    assert sessions.placed_at("home-0") == 0


def test_a_prompt_that_does_not_go_on_from_the_last_has_nothing_cached():
    """By its hashes where it has them, by its length where it has none."""
    session = Session("home-0", 0)
    session.cached_tokens, session.blocks, session.block = 100, 2, 22
    assert session.cached_of(160, (11, 22, 33)) == 100
    assert session.cached_of(160, (11, 99, 33)) == 0
    assert session.cached_of(160, (11,)) == 0
    assert session.cached_of(160, ()) == 100
    assert session.cached_of(60, ()) == 0


def test_turns_ahead_is_what_sessions_take_on_average():
    """Two sessions of three turns: three more are expected of any."""
    sessions = Sessions(Limits())
    assert sessions.turns_ahead() == 1.0
    for name in "aaabbb":
        sessions.place(name, "home-0", 0)
    assert sessions.turns_ahead() == 3.0


def test_a_thousand_idle_sessions_hold_less_than_two_megabytes():
    """Measured, names included."""
    sessions = Sessions(Limits())
    gc.collect()
    tracemalloc.start()
    for number in range(1000):
        sessions.place(f"session-with-a-rather-long-name-{number:08}", "home-0", 0)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 2_000_000


def test_what_another_router_says_counts_where_it_is_newer():
    """And is not remembered before a turn goes by it."""
    sessions = Sessions(Limits(session_age_max_ns=1_000))
    hint = Hint("b", used_ns=500, cached_tokens=7, blocks=2, block=9)
    assert sessions.look_up("s", None, 600) is None
    told = sessions.look_up("s", hint, 600)
    assert (told.endpoint, told.cached_tokens, told.blocks, told.block) == ("b", 7, 2, 9)
    assert len(sessions) == 0
    sessions.place("s", "a", 550)
    assert sessions.look_up("s", hint, 600).endpoint == "a"
    newer = replace(hint, used_ns=580)
    assert sessions.look_up("s", newer, 600).endpoint == "b"
    assert sessions.look_up("t", newer, 1_580) is not None
    assert sessions.look_up("t", newer, 1_581) is None
    assert sessions.hint("s") == Hint("a", 550)
    assert sessions.hint("t") is None
