"""What follows an attempt that failed, once some of its answer was delivered."""

import random

import pytest

from router.policy.core import RouterCore
from router.policy.decision import Mode, Refuse, Rule, Send
from router.policy.endpoint import Endpoint
from router.policy.fleet import Limits
from router.policy.identity import EngineIdentity
from router.policy.outcome import End, Ended, FirstToken
from router.policy.recovery import Again
from router.policy.request import Request
from router.policy.resume import TEXT, ResumePoint
from router.policy.units import NS_PER_MS, NS_PER_S
from tests.router.policy.toy import MODEL, fleet

HERE = EngineIdentity("w", "t", "n", restores=(TEXT,))
POINT = ResumePoint(10, 100, features=(TEXT,))
RNG = random.Random(1)


def core_with(identities, **limits):
    """A core that knows these endpoints: home-0 and so on at home."""
    core = RouterCore(fleet(limits=Limits(**limits)))
    for number, identity in enumerate(identities):
        core.on_endpoint_up(Endpoint(f"home-{number}", "home", MODEL, identity=identity), 0)
    return core


def begun(core, request="q", now=0):
    """A stream that has given its first token."""
    send = core.on_request(Request(request, MODEL, max_new_tokens=200), now, RNG)
    assert isinstance(send, Send)
    core.on_outcome(FirstToken(request, send.endpoint, NS_PER_MS), now, RNG)
    return send


def breaks(core, send, end=End.FAILED, point=POINT, messages=10, now=0):
    """What the core says of the end of an attempt."""
    return core.on_outcome(
        Ended(send.request, send.endpoint, end, 10, messages, NS_PER_S, resume=point), now, RNG
    )


@pytest.mark.parametrize("end", [End.FAILED, End.UNREACHABLE, End.STALLED, End.MOVED])
def test_a_broken_stream_goes_on_at_its_like(end):
    """With what it takes: the prompt has grown by what was delivered, what is left has shrunk."""
    core = core_with([HERE, HERE])
    first = begun(core)
    again = breaks(core, first, end)
    assert isinstance(again, Send)
    assert again.endpoint != first.endpoint
    assert (again.mode, again.attempt) == (Mode.CONTINUE, 2)
    flight = core._flights.by_id["q"]
    assert flight.request.prompt_tokens == 110
    assert flight.request.max_new_tokens == 190
    assert flight.request.resume.identity == HERE
    assert core.snapshot(0).resumed == 1


def test_it_goes_on_from_its_origin_however_often_it_has():
    """Each break is judged by where the stream began, and the last place is left alone."""
    core = core_with([HERE, HERE, HERE])
    send, seen = begun(core), []
    for number in range(6):
        seen.append(send.endpoint)
        point = ResumePoint(10 * (number + 1), 100, features=(TEXT,))
        send = breaks(core, send, point=point)
        assert isinstance(send, Send)
        assert send.endpoint != seen[-1]
        assert core._flights.by_id["q"].request.resume.identity == HERE
        core.on_outcome(FirstToken("q", send.endpoint, NS_PER_MS), 0, RNG)


def test_the_last_attempt_is_made_at_another_site():
    """A site may die one connection after the other; a neighbour is tried while there are more."""
    core = core_with([HERE] * 5)
    core.on_endpoint_up(Endpoint("rented-0", "rented", MODEL, identity=HERE), 0)
    second = breaks(core, begun(core), End.UNREACHABLE)
    third = breaks(core, second, End.UNREACHABLE, point=None, messages=0)
    assert (second.site, third.site) == ("home", "rented")


def test_what_an_endpoint_took_with_it_is_tried_at_another_site():
    """Its neighbours may be dying with it, and two such ends would make the prompt a suspect."""
    core = core_with([HERE] * 3)
    core.on_endpoint_up(Endpoint("rented-0", "rented", MODEL, identity=HERE), 0)
    first = core.on_request(Request("q", MODEL, max_new_tokens=200), 0, RNG)
    second = breaks(core, first, End.UNREACHABLE, point=None, messages=0)
    assert (first.site, second.site) == ("home", "rented")


def test_a_stream_goes_on_so_many_times_and_no_more():
    """What breaks it everywhere is not the endpoints."""
    core = core_with([HERE] * 4, resumes_max=2, breaker_failures=100)
    send = begun(core)
    for _ in range(2):
        send = breaks(core, send)
        assert isinstance(send, Send)
    refuse = breaks(core, send)
    assert isinstance(refuse, Refuse)
    assert (refuse.rule, core.snapshot(0).open_streams) == (Rule.NO_RETRY, 0)
    assert "gone on 2 times already" in refuse.reason


def test_one_that_asks_again_keeps_its_counts():
    """It has waited for its only endpoint to come back, and breaks there once too often."""
    core = core_with([HERE], resumes_max=2)
    rest = Request("q", MODEL, max_new_tokens=190, resume=POINT)
    send = core.on_asked_again(Again(rest, (), attempt=3, resumes=2), 0, RNG)
    assert isinstance(send, Send)
    assert (send.attempt, send.mode) == (3, Mode.CONTINUE)
    assert "gone on 2 times already" in breaks(core, send).reason


def test_one_that_asks_again_makes_no_more_attempts_than_another():
    """An endpoint that takes it and gives nothing, each time that it is back, is left alone."""
    core = core_with([HERE], attempts_max=3, breaker_failures=100)
    rest = Request("q", MODEL, max_new_tokens=190, resume=POINT)
    send = core.on_asked_again(Again(rest, (), attempt=4, resumes=1, below=2), 0, RNG)
    assert isinstance(send, Send)
    refused = [
        breaks(core, send, End.UNREACHABLE, point=None, messages=0),
        core.on_asked_again(Again(rest, (), attempt=5, resumes=1, below=3), 0, RNG),
    ]
    assert [refuse.rule for refuse in refused] == [Rule.NO_RETRY] * 2


def test_asking_again_earns_nothing():
    """A stream that waits asks five times a second, and is one request."""
    core = core_with([HERE, HERE], resume_burst=1, breaker_failures=1_000)
    sends = [begun(core, str(number)) for number in range(3)]
    core._recovery._resumes.left = 0.0
    other = Request("other", "unknown", resume=POINT)
    for _ in range(100):
        assert isinstance(core.on_asked_again(Again(other, (), 2, 1), 0, RNG), Refuse)
    assert "resume budget is spent" in breaks(core, sends[0]).reason


def test_the_death_of_a_site_moves_all_its_streams():
    """However few retries a router may make."""
    core = core_with([HERE], retry_burst=1, breaker_failures=1_000)
    sends = [begun(core, str(number)) for number in range(100)]
    core.on_endpoint_up(Endpoint("home-9", "home", MODEL, identity=HERE), 0)
    core.on_connection("home-0", True, 1)
    core.on_connection("home-0", False, 1)
    assert all(isinstance(breaks(core, send, End.UNREACHABLE), Send) for send in sends)


def test_resumes_have_a_budget():
    """Beyond what is saved up, a stream may go on as often as requests come."""
    core = core_with([HERE, HERE], resume_burst=1, breaker_failures=1_000)
    send = breaks(core, begun(core))
    assert isinstance(send, Send)
    refuse = breaks(core, send)
    assert isinstance(refuse, Refuse)
    assert "resume budget is spent" in refuse.reason


@pytest.mark.parametrize(
    ("point", "why"),
    [
        (None, "after 10 messages had reached the client"),
        (ResumePoint(10, 0, impossible="not kept"), "it cannot go on: not kept"),
    ],
)
def test_what_cannot_go_on_is_told_why(point, why):
    core = core_with([HERE, HERE])
    refuse = breaks(core, begun(core), point=point)
    assert isinstance(refuse, Refuse)
    assert why in refuse.reason


def test_the_same_numerics_are_preferred():
    """Only there the stream is the very same, though another is as near."""
    other = EngineIdentity("w", "t", "m", restores=(TEXT,))
    core = core_with([HERE])
    send = begun(core)
    for number, identity in enumerate([other, other, HERE, other], 1):
        core.on_endpoint_up(Endpoint(f"home-{number}", "home", MODEL, identity=identity), 0)
    assert breaks(core, send).endpoint == "home-3"


def test_a_fleet_may_insist_on_the_very_same_stream():
    """Then other numerics are no place to go on, though the model is the same."""
    other = EngineIdentity("w", "t", "m", restores=(TEXT,))
    core = core_with([HERE], resume_same_numerics=True)
    send = begun(core)
    core.on_endpoint_up(Endpoint("home-1", "home", MODEL, identity=other), 0)
    assert isinstance(breaks(core, send), Refuse)


def test_one_that_refuses_to_go_on_is_not_the_last():
    """Another may understand the request; before anything was delivered, it is the request's."""
    core = core_with([HERE, HERE, HERE])
    second = breaks(core, begun(core))
    third = breaks(core, second, End.REJECTED, point=None, messages=0)
    assert isinstance(third, Send)
    fresh = core.on_request(Request("r", MODEL), 0, RNG)
    assert breaks(core, fresh, End.REJECTED, point=None, messages=0) is None


def test_moving_is_asked_for_without_any_effect():
    """And what moves counts as nobody's failure."""
    core = core_with([HERE, HERE])
    send = begun(core)
    core.on_drain("home", True, 0)
    assert core.is_draining(send.endpoint)
    assert not core.may_move("q", POINT, 0, RNG)
    core.on_drain("home", False, 0)
    assert core.may_move("q", POINT, 0, RNG)
    assert core.snapshot(0).open_streams == 1
    breaks(core, send, End.MOVED)
    assert core.snapshot(0).sites[0].failures == 0


def test_a_drain_moves_all_that_has_not_begun():
    """However few retries a router may make: nothing has failed."""
    core = core_with([HERE], retry_burst=1, breaker_failures=1_000)
    sends = [core.on_request(Request(str(number), MODEL), 0, RNG) for number in range(100)]
    core.on_endpoint_up(Endpoint("home-9", "home", MODEL, identity=HERE), 0)
    for send in sends:
        assert core.may_move(send.request, None, 0, RNG)
        assert isinstance(breaks(core, send, End.MOVED, point=None, messages=0), Send)


@pytest.mark.parametrize("limits", [{"resumes_max": 1}, {"resume_burst": 1}])
def test_what_may_go_on_no_more_is_not_moved(limits):
    """It stays and ends where it is, rather than being broken off for a drain."""
    core = core_with([HERE, HERE, HERE], **limits)
    send = breaks(core, begun(core))
    core.on_outcome(FirstToken("q", send.endpoint, NS_PER_MS), 0, RNG)
    assert not core.may_move("q", POINT, 0, RNG)
    assert isinstance(breaks(core, send, End.MOVED), Refuse)


def test_what_has_failed_everywhere_else_is_not_moved():
    """Its last endpoint drains, and is the only one that has not failed it."""
    core = core_with([HERE, HERE])
    first = core.on_request(Request("q", MODEL), 0, RNG)
    assert core.may_move("q", None, 0, RNG)
    second = breaks(core, first, point=None, messages=0)
    assert isinstance(second, Send)
    assert not core.may_move("q", None, 0, RNG)
