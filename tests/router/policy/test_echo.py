"""Between two reports, own dispatches tell what other routers are likely to send."""

from router.policy.core import RouterCore
from router.policy.decision import Send
from router.policy.echo import Echo
from router.policy.endpoint import Endpoint
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended, FirstToken
from router.policy.request import Request
from router.policy.units import NS_PER_MS, NS_PER_S
from tests.router.policy.toy import MODEL, fleet


def test_each_own_request_stands_for_as_many_as_others_have():
    """Three of others' for each own: a prompt of 100 tokens brings 300 more."""
    echo = Echo()
    for _ in range(5):
        echo.on_report(own=2, others=6)
    echo.on_send(100)
    assert (echo.streams, echo.tokens) == (3.0, 300.0)


def test_the_next_report_says_what_they_did():
    """The guess is dropped, and the ratio follows what reports say."""
    echo = Echo()
    echo.on_report(own=1, others=3)
    echo.on_send(100)
    echo.on_report(own=10, others=0)
    assert (echo.streams, echo.tokens) == (0.0, 0.0)
    echo.on_send(100)
    assert echo.streams < 0.5


def test_alone_nothing_is_added():
    """A router that has an endpoint to itself counts its own requests and no more."""
    echo = Echo()
    for _ in range(5):
        echo.on_report(own=4, others=0)
    echo.on_send(1_000)
    assert (echo.streams, echo.tokens) == (0.0, 0.0)


def test_guesses_leave_nothing_behind(rng):
    """Once requests have ended and reports say so, nothing is ahead of a new one."""
    core = RouterCore(fleet(ttft_ms=60_000))
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), 0)
    for number in range(1, 40):
        now = number * NS_PER_S
        request = Request(str(number), MODEL, prompt_tokens=500)
        sent = core.on_request(request, now, rng)
        assert isinstance(sent, Send)
        waiting = {"running": 4, "queued_prefill_tokens": 2_000} if number < 30 else {}
        core.on_load(LoadReport("home-0", "1", number, **waiting), now + 200 * NS_PER_MS)
        core.on_outcome(FirstToken(request.id, "home-0", NS_PER_S // 4), now + NS_PER_S // 4, rng)
        ended = Ended(request.id, "home-0", End.OK, output_tokens=5, duration_ns=NS_PER_S // 2)
        core.on_outcome(ended, now + NS_PER_S // 2, rng)
    tracked = core._registry.by_name["home-0"]
    assert (tracked.tokens_ahead, tracked.busyness) == (0.0, 0.0)
