"""Leaving a failing endpoint alone, and coming back to it."""

import random

from router.policy.breaker import Breaker
from router.policy.core import RouterCore
from router.policy.decision import Refuse, Rule, Send
from router.policy.endpoint import Endpoint
from router.policy.fleet import Limits
from router.policy.outcome import End, Ended
from router.policy.request import Request
from router.policy.resume import ResumePoint
from router.policy.units import NS_PER_S
from tests.router.policy.toy import MODEL, fleet

_LIMITS = Limits(breaker_failures=3, breaker_open_ns=NS_PER_S, breaker_open_max_ns=4 * NS_PER_S)


def _failed(breaker: Breaker, times: int, now: int) -> None:
    for _ in range(times):
        breaker.on_end(ok=False, was_probe=breaker.on_send(), now=now)


def test_it_opens_at_the_third_failure_in_a_row():
    """A success between failures starts the count again."""
    breaker = Breaker(_LIMITS)
    _failed(breaker, 2, 0)
    breaker.on_end(ok=True, was_probe=False, now=0)
    _failed(breaker, 2, 0)
    assert breaker.allows(0)
    _failed(breaker, 1, 0)
    assert not breaker.allows(0)
    assert breaker.closes_in_ns(0) == NS_PER_S


def test_one_request_probes_after_the_pause_and_a_failure_doubles_it():
    """One, two, four, four seconds."""
    breaker, now, pauses = Breaker(_LIMITS), 0, []
    _failed(breaker, 3, now)
    for _ in range(4):
        pauses.append(breaker.closes_in_ns(now) // NS_PER_S)
        now += breaker.closes_in_ns(now)
        assert breaker.allows(now)
        assert breaker.on_send()
        assert not breaker.allows(now)
        breaker.on_end(ok=False, was_probe=True, now=now)
    assert pauses == [1, 2, 4, 4]


def test_a_first_token_of_the_probe_closes_it_and_the_next_failure_opens_it_again():
    """An endpoint that starts streams and breaks them does not get three more each time."""
    breaker = Breaker(_LIMITS)
    _failed(breaker, 3, 0)
    probe = breaker.on_send()
    breaker.on_first_token(NS_PER_S)
    assert breaker.is_closed
    breaker.on_end(ok=False, was_probe=probe, now=NS_PER_S)
    assert not breaker.allows(NS_PER_S)


def test_a_pause_says_whether_the_endpoint_is_full_or_fails():
    """A failing endpoint that says it is full, too, still fails."""
    breaker = Breaker(_LIMITS)
    breaker.pause(0, NS_PER_S)
    breaker.pause(1, NS_PER_S)
    assert breaker.is_full
    _failed(breaker, 3, 2 * NS_PER_S)
    assert not breaker.is_full
    breaker.pause(2 * NS_PER_S, NS_PER_S)
    assert not breaker.is_full


def test_a_probe_that_is_cancelled_leaves_room_for_another():
    """An end that says nothing about the endpoint neither closes nor blocks."""
    breaker = Breaker(_LIMITS)
    _failed(breaker, 3, 0)
    breaker.on_end(ok=None, was_probe=breaker.on_send(), now=NS_PER_S)
    assert breaker.allows(NS_PER_S)
    assert not breaker.is_closed


def test_many_failures_at_once_open_it_once():
    """A hundred streams that die together do not make the pause a hundred times doubled."""
    breaker = Breaker(_LIMITS)
    _failed(breaker, 100, 0)
    assert breaker.closes_in_ns(0) == NS_PER_S


def test_a_full_endpoint_is_paused_without_being_blamed():
    """It is probed after the pause, and needs three real failures still to be left for longer."""
    breaker = Breaker(_LIMITS)
    breaker.pause(0, NS_PER_S // 10)
    assert not breaker.allows(0)
    breaker.on_end(ok=False, was_probe=breaker.on_send(), now=NS_PER_S)
    assert breaker.allows(NS_PER_S)


def test_back_after_a_lost_connection_it_is_probed_first():
    """One request, whose failure opens it."""
    breaker = Breaker(_LIMITS)
    breaker.on_reconnected(0)
    assert breaker.allows(0)
    assert breaker.on_send()
    assert not breaker.allows(0)
    breaker.on_end(ok=False, was_probe=True, now=0)
    assert breaker.is_open(0)


def _site_of(core: RouterCore, request: Request, now: int) -> str:
    sent = core.on_request(request, now, random.Random(1))
    assert isinstance(sent, Send)
    return sent.site


def test_with_all_others_gone_an_endpoint_that_has_failed_is_tried_before_its_pause_ends():
    """It may have healed. A stream that has begun waits, and asks again: it leaves the pause."""
    core, rng = RouterCore(fleet()), random.Random(1)
    for site in ("home", "rented"):
        core.on_endpoint_up(Endpoint(f"{site}-0", site, MODEL), 0)
    for name in "123":
        assert _site_of(core, Request(name, MODEL), 0) == "home"
        core.on_outcome(Ended(name, "home-0", End.STALLED), 0, rng)
        core.on_outcome(Ended(name, "rented-0", End.OK), 0, rng)
    assert _site_of(core, Request("a", MODEL), 1) == "rented"
    core.on_connection("rented-0", True, 2)
    core.on_connection("rented-0", False, 3)
    for name in "bcd":
        assert _site_of(core, Request(name, MODEL), 4) == "home"
    begun = core.on_request(Request("e", MODEL, resume=ResumePoint(10, 100)), 5, rng)
    assert isinstance(begun, Refuse)
    assert begun.rule is Rule.NO_ENDPOINT
