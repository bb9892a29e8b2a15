"""When a silent stream is given up, and when it is not."""

import random

from hypothesis import given
from hypothesis import strategies as st

from router.policy.core import RouterCore
from router.policy.decision import Send
from router.policy.endpoint import Endpoint
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended, FirstToken
from router.policy.request import Request
from router.policy.stall import Signs, is_stalled, patience_ns
from router.policy.units import NS_PER_MS, NS_PER_S
from router.policy.vigil import Beat
from tests.router.policy.toy import MODEL, fleet

DEAD = Signs(
    itl_ns=20 * NS_PER_MS,
    longest_ns=50 * NS_PER_MS,
    step_ns=0,
    rtt_ns=0,
    quiet_ns=10 * NS_PER_S,
    connected=True,
    reports=False,
    waiting=False,
)


def test_a_dead_endpoint_is_noticed_within_the_second():
    assert not is_stalled(300 * NS_PER_MS, DEAD)
    assert is_stalled(500 * NS_PER_MS, DEAD)


def test_reports_that_come_buy_time():
    """Something lives there, so that it is a little longer."""
    lives = DEAD._replace(reports=True)
    assert not is_stalled(500 * NS_PER_MS, lives)
    assert is_stalled(700 * NS_PER_MS, lives)


def test_a_lost_connection_saves_time():
    assert is_stalled(250 * NS_PER_MS, DEAD._replace(connected=False))


def test_a_stream_alone_among_others_that_go_on_is_waited_for():
    """The engine lives; short of cache memory it may have set the stream aside."""
    alone = DEAD._replace(reports=True, quiet_ns=20 * NS_PER_MS)
    assert not is_stalled(NS_PER_S, alone)
    assert is_stalled(2 * NS_PER_S, alone)
    assert not is_stalled(20 * NS_PER_S, alone._replace(waiting=True))


def test_slow_engines_are_given_their_time():
    """By their usual gap, by the longest they have survived, and by what they have to prefill."""
    for signs in (
        DEAD._replace(itl_ns=200 * NS_PER_MS),
        DEAD._replace(longest_ns=600 * NS_PER_MS),
        DEAD._replace(step_ns=NS_PER_S),
        DEAD._replace(rtt_ns=400 * NS_PER_MS),
    ):
        assert not is_stalled(NS_PER_S, signs)
        assert is_stalled(2 * NS_PER_S, signs)


@given(st.lists(st.floats(1.0, 2.2), max_size=60), st.integers(1, 150))
def test_an_engine_that_slows_down_step_by_step_is_never_given_up(growth, first_ms):
    """Each gap may be twice the one before: the patience has grown by then."""
    core, now = RouterCore(fleet()), NS_PER_S
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), now)
    sent = core.on_request(Request("q", MODEL), now, random.Random(1))
    assert isinstance(sent, Send)
    core.on_outcome(FirstToken("q", "home-0", 20 * NS_PER_MS), now, random.Random(1))
    gap_ns = float(first_ms * NS_PER_MS)
    for factor in growth:
        gap_ns = min(gap_ns * factor, 5.0 * NS_PER_S)
        silent = Beat("home-0", int(gap_ns), 0, (("q", int(gap_ns)),))
        now += int(gap_ns)
        assert core.given_up(silent, now) == ()
        core.given_up(Beat("home-0", 0, int(gap_ns), ()), now)


def streaming() -> RouterCore:
    """A core with one endpoint, and one stream there that has begun at one second."""
    core, now = RouterCore(fleet()), NS_PER_S
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), now)
    core.on_request(Request("q", MODEL), now, random.Random(1))
    core.on_outcome(FirstToken("q", "home-0", 20 * NS_PER_MS), now, random.Random(1))
    return core


def silence(silent_ns: int) -> Beat:
    """Of the stream, and of everything there."""
    return Beat("home-0", silent_ns, 0, (("q", silent_ns),))


def test_what_was_once_slow_is_not_trusted_for_ever():
    """A bad moment long ago does not let a dead endpoint keep its streams."""
    core = streaming()
    core.given_up(Beat("home-0", 0, 400 * NS_PER_MS, ()), NS_PER_S)
    assert core.given_up(silence(900 * NS_PER_MS), 2 * NS_PER_S) == ()
    assert core.given_up(silence(900 * NS_PER_MS), 100 * NS_PER_S) == ("q",)


def test_a_failure_that_was_healed_teaches_little_patience():
    """The next one is noticed soon, however long the first has lasted."""
    core = streaming()
    core.given_up(Beat("home-0", 0, 60 * NS_PER_S, ()), NS_PER_S)
    assert core.given_up(silence(1_500 * NS_PER_MS), 2 * NS_PER_S) == ("q",)


def test_what_a_prefill_takes_is_no_silence_of_the_endpoint():
    """Patience for prefills is apart: with their end, that for what stands still is as before."""
    core = streaming()
    core.on_request(Request("long", MODEL, prompt_tokens=2_000), NS_PER_S, random.Random(1))
    core.given_up(silence(380 * NS_PER_MS), 2 * NS_PER_S)
    first = Beat("home-0", 0, 390 * NS_PER_MS, ())
    core.on_outcome(Ended("long", "home-0", End.CANCELLED), 2 * NS_PER_S, random.Random(1))
    core.given_up(first, 2 * NS_PER_S)
    assert core.given_up(silence(600 * NS_PER_MS), 2 * NS_PER_S) == ("q",)


def test_an_engine_that_is_slow_at_one_stroke_is_caught_up_with():
    """Where every step takes two seconds, its streams are given up once or twice, not for ever."""
    core, now = streaming(), NS_PER_S
    for _ in range(4):
        now += 2 * NS_PER_S
        core.given_up(Beat("home-0", 0, 2 * NS_PER_S, ()), now)
    assert core.given_up(silence(2 * NS_PER_S), now) == ()


def test_a_first_token_is_waited_for_as_promised():
    """An endpoint that reports may be busy with a long prompt; one that is gone is not."""
    core, now = RouterCore(fleet()), 0
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), now)
    sent = core.on_request(Request("q", MODEL, prompt_tokens=20_000), now, random.Random(1))
    assert isinstance(sent, Send)
    waited = sent.chosen.ttft_ns - 1
    beat = Beat("home-0", 1 << 60, 0, (("q", waited),))
    assert waited > NS_PER_S
    assert core.given_up(beat, waited) == ()
    core.on_connection("home-0", True, waited)
    core.on_connection("home-0", False, waited)
    assert core.given_up(beat, waited) == ("q",)


def test_an_endpoint_is_asked_when_two_reports_are_missing():
    """By the pace at which it has reported before, whatever that is."""
    core, now = RouterCore(fleet()), 0
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), now)
    nothing = Beat("home-0", 0, 0, ())
    assert not core.should_ask(nothing, 100 * NS_PER_S)
    for sequence in range(100):
        now += NS_PER_S
        core.on_load(LoadReport("home-0", "1", sequence), now)
    assert not core.should_ask(nothing, now + 1_900 * NS_PER_MS)
    assert core.should_ask(nothing, now + 2_100 * NS_PER_MS)


def test_an_endpoint_is_asked_when_all_its_streams_are_unusually_silent():
    """Before any is given up; one that has been slower of late is asked later."""
    core = RouterCore(fleet())
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), 0)
    silent = Beat("home-0", 200 * NS_PER_MS, 0, (("q", 200 * NS_PER_MS),), begun=True)
    assert core.should_ask(silent, 0)
    assert not core.should_ask(silent._replace(quiet_ns=20 * NS_PER_MS), 0)
    assert not core.should_ask(silent._replace(begun=False), 0)  # a first token takes its time
    core.given_up(Beat("home-0", 0, 300 * NS_PER_MS, ()), 0)
    assert not core.should_ask(silent, 0)


def test_patience_is_never_below_a_hiccup():
    nothing = DEAD._replace(itl_ns=0, longest_ns=0)
    assert patience_ns(nothing) == 400 * NS_PER_MS
