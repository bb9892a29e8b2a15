"""The core's entry points, as whoever drives it sees them."""

import dataclasses
import pickle
import random

import pytest

from router.policy.core import RouterCore
from router.policy.decision import Refuse, Rule, Send, Wait
from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet, Limits, Price, SloClass, Tenant
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended, FirstToken
from router.policy.request import Request
from router.policy.snapshot import Health
from router.policy.units import NS_PER_MS, NS_PER_S
from tests.router.policy.toy import MODEL, fleet


def _core(*, home: int = 1, rented: int = 1, limits: Limits | None = None) -> RouterCore:
    core = RouterCore(fleet(limits=limits))
    for site, count in (("home", home), ("rented", rented)):
        for number in range(count):
            core.on_endpoint_up(Endpoint(f"{site}-{number}", site, MODEL, ("alias",)), 0)
    return core


def _sent(decision) -> Send:
    assert isinstance(decision, Send)
    return decision


def _refused(decision) -> Refuse:
    assert isinstance(decision, Refuse)
    return decision


def test_with_no_endpoint_at_all_even_an_unknown_model_is_unavailable(rng):
    """Nobody can say that the model does not exist before anybody is there."""
    core = RouterCore(fleet())
    refused = _refused(core.on_request(Request("q", "nonsense"), 0, rng))
    assert refused.rule is Rule.NO_ENDPOINT
    assert refused.retry_after_ns >= Limits().retry_after_min_ns


def test_an_unknown_model_is_refused_and_an_alias_or_none_is_served(rng):
    """An empty name asks for any model."""
    core = _core()
    refused = _refused(core.on_request(Request("a", "nonsense"), 0, rng))
    assert (refused.rule, refused.retry_after_ns) == (Rule.UNKNOWN_MODEL, 0)
    _sent(core.on_request(Request("b", "alias"), 0, rng))
    _sent(core.on_request(Request("c", ""), 0, rng))


def test_a_model_whose_endpoints_are_gone_is_unavailable_and_not_unknown(rng):
    """It was there, and may come back."""
    core = _core(rented=0)
    core.on_endpoint_up(Endpoint("other", "home", "other"), 0)
    core.on_endpoint_gone("home-0", 1)
    assert _refused(core.on_request(Request("q", MODEL), 2, rng)).rule is Rule.NO_ENDPOINT


def test_an_unknown_class_is_refused_by_name(rng):
    """The reason names the classes that there are."""
    refused = _refused(_core().on_request(Request("q", MODEL, slo="gold"), 0, rng))
    assert refused.rule is Rule.UNKNOWN_SLO
    assert "chat" in refused.reason


def test_a_deadline_that_has_passed_or_cannot_be_met_is_refused(rng):
    """And one that can be met is not."""
    core = _core()
    for deadline_ns in (0, NS_PER_S, NS_PER_S + NS_PER_MS):
        request = Request("q", MODEL, prompt_tokens=1000, deadline_ns=deadline_ns)
        assert _refused(core.explain(request, NS_PER_S, rng)).rule is Rule.DEADLINE
    request = Request("q", MODEL, prompt_tokens=1000, deadline_ns=2 * NS_PER_S)
    _sent(core.explain(request, NS_PER_S, rng))


def test_nobody_within_the_horizon_is_overload_with_a_time_to_come_back(rng):
    """The time is within its bounds, and not the same for all who are refused."""
    core = _core()
    for name in ("home-0", "rented-0"):
        report = LoadReport(name, "1", 1, 4, 500, 5_000_000, running_max=4)
        core.on_load(report, 0)
    waits = set()
    for number in range(20):
        refused = _refused(core.on_request(Request(str(number), MODEL), 0, rng))
        assert refused.rule is Rule.OVERLOAD
        assert NS_PER_S // 10 <= refused.retry_after_ns <= 10 * NS_PER_S
        waits.add(refused.retry_after_ns)
    assert core.snapshot(0).open_streams == 0


def test_a_class_that_must_stay_home_is_never_sent_away(rng):
    """Home gone, it is refused although a rented site is there."""
    base = fleet()
    slo = dataclasses.replace(base.slo_classes[0], home_only=True)
    core = RouterCore(dataclasses.replace(base, slo_classes=(slo,)))
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), 0)
    core.on_endpoint_up(Endpoint("rented-0", "rented", MODEL), 0)
    assert _sent(core.on_request(Request("a", MODEL), 0, rng)).site == "home"
    core.on_connection("home-0", False, 0)
    refused = _refused(core.on_request(Request("b", MODEL), 0, rng))
    assert "outside home" in refused.reason


@pytest.mark.parametrize(
    ("tenant", "resident", "away"),
    [("clinic", "clinic", False), ("shop", "clinic", True), ("", "default", False)],
)
def test_a_tenant_whose_data_may_not_leave_home_stays(rng, tenant, resident, away):
    """Whatever class it asks for, also when it waits; others leave as before."""
    tenants = (Tenant("shop"), Tenant(resident, home_only=True))
    core = RouterCore(dataclasses.replace(fleet(), tenants=tenants))
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), 0)
    core.on_endpoint_up(Endpoint("rented-0", "rented", MODEL), 0)
    assert _sent(core.on_request(Request("a", MODEL, tenant=tenant), 0, rng)).site == "home"
    core.on_connection("home-0", False, 0)
    decision = core.on_request(Request("b", MODEL, tenant=tenant), 0, rng)
    assert isinstance(decision, Send) is away
    if not away:
        assert "outside home" in decision.reason
    core.on_outcome(Ended("a", "home-0", End.OK, 1, 1), 1, rng)
    assert core.snapshot(1).open_streams == away


def test_a_prompt_goes_only_where_its_length_fits(rng):
    """The context of each endpoint is known from discovery."""
    core = RouterCore(fleet())
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL, max_model_tokens=1000), 0)
    core.on_endpoint_up(Endpoint("rented-0", "rented", MODEL, max_model_tokens=8000), 0)
    assert _sent(core.on_request(Request("a", MODEL, prompt_tokens=900), 0, rng)).site == "home"
    long = Request("b", MODEL, prompt_tokens=1001)
    assert _sent(core.on_request(long, 0, rng)).site == "rented"
    endless = Request("c", MODEL, prompt_tokens=8001)
    refused = _refused(core.on_request(endless, 0, rng))
    assert (refused.rule, refused.retry_after_ns) == (Rule.TOO_LONG, 0)
    assert "8001 tokens" in refused.reason


def test_a_failed_attempt_goes_elsewhere_at_most_three_times(rng):
    """Each attempt at another endpoint; then the refusal says why."""
    core = _core(home=4)
    decision = core.on_request(Request("q", MODEL, session="s"), 0, rng)
    seen = []
    while isinstance(decision, Send):
        seen.append(decision.endpoint)
        assert decision.attempt == len(seen)
        failed = Ended("q", decision.endpoint, End.UNREACHABLE)
        decision = core.on_outcome(failed, len(seen), rng)
    assert len(set(seen)) == len(seen) == 3
    refused = _refused(decision)
    assert refused.rule is Rule.NO_RETRY
    assert seen[-1] in refused.reason
    assert core.snapshot(9).open_streams == 0


def test_what_reached_the_client_is_not_tried_again(rng):
    """A stream that broke after its first message cannot start over."""
    core = _core(home=2)
    sent = _sent(core.on_request(Request("q", MODEL), 0, rng))
    core.on_outcome(FirstToken("q", sent.endpoint, NS_PER_MS), 1, rng)
    broken = core.on_outcome(Ended("q", sent.endpoint, End.FAILED, messages=3), 2, rng)
    assert _refused(broken).rule is Rule.NO_RETRY


@pytest.mark.parametrize("end", [End.OK, End.CANCELLED, End.REJECTED, End.TIMED_OUT])
def test_final_ends_have_no_next_action(end, rng):
    """And the stream is closed."""
    core = _core()
    sent = _sent(core.on_request(Request("q", MODEL), 0, rng))
    assert core.on_outcome(Ended("q", sent.endpoint, end), 1, rng) is None
    assert core.snapshot(1).open_streams == 0


def test_retries_stop_when_their_budget_is_spent(rng):
    """A fleet that fails everything is not asked three times for each request."""
    core = _core(home=3, limits=Limits(retry_burst=5, breaker_failures=10**6))
    attempts = 0
    for number in range(200):
        decision = core.on_request(Request(str(number), MODEL), number, rng)
        while isinstance(decision, Send):
            attempts += 1
            failed = Ended(str(number), decision.endpoint, End.FAILED)
            decision = core.on_outcome(failed, number, rng)
    assert attempts <= 200 + 5 + 200 * Limits().retry_ratio + 1


def test_an_endpoint_that_is_full_is_left_alone_for_a_moment(rng):
    """The request goes on elsewhere, and the next ones too until the pause is over."""
    core = _core()
    sent = _sent(core.on_request(Request("a", MODEL), 0, rng))
    assert sent.endpoint == "home-0"
    again = _sent(core.on_outcome(Ended("a", "home-0", End.OVERLOADED), 1, rng))
    assert again.endpoint == "rented-0"
    assert _sent(core.on_request(Request("b", MODEL), 2, rng)).endpoint == "rented-0"
    assert _sent(core.on_request(Request("c", MODEL), NS_PER_S, rng)).endpoint == "home-0"


def test_when_all_are_full_the_next_waits_and_is_not_unavailable(rng):
    """They are reached, and have room again soon; one that fails instead is another matter."""
    core = _core(rented=0)
    _sent(core.on_request(Request("a", MODEL), 0, rng))
    assert _refused(core.on_outcome(Ended("a", "home-0", End.OVERLOADED), 1, rng))
    assert isinstance(core.on_request(Request("b", MODEL), 2, rng), Wait)
    core.on_connection("home-0", connected=False, now=3)
    assert _refused(core.on_request(Request("c", MODEL), 4, rng)).rule is Rule.NO_ENDPOINT


def test_a_drained_site_gets_no_new_turns_and_its_streams_go_on(rng):
    """Undrained, it is home again."""
    core = _core()
    open_at_home = _sent(core.on_request(Request("a", MODEL), 0, rng))
    core.on_drain("home", True, 1)
    assert _sent(core.on_request(Request("b", MODEL), 1, rng)).site == "rented"
    assert core.on_outcome(Ended("a", open_at_home.endpoint, End.OK), 2, rng) is None
    core.on_drain("home", False, 3)
    assert _sent(core.on_request(Request("c", MODEL), 3, rng)).site == "home"


def test_a_replica_that_says_it_drains_is_avoided(rng):
    """Its report is enough."""
    core = _core()
    core.on_load(LoadReport("home-0", "1", 1, draining=True), 0)
    assert _sent(core.on_request(Request("a", MODEL), 0, rng)).site == "rented"


def test_with_all_others_gone_a_replica_being_probed_takes_more_than_its_probe(rng):
    """Better to try than to refuse, when the connection is there."""
    core = _core(rented=0)
    core.on_connection("home-0", True, 0)
    core.on_connection("home-0", False, 1)
    core.on_connection("home-0", True, 2)
    assert core.snapshot(3).sites[0].endpoints[0].health is Health.SUSPECT
    for number in range(3):
        _sent(core.on_request(Request(str(number), MODEL), 3, rng))


def test_explain_answers_as_on_request_would_and_changes_nothing(rng):
    """Asked a hundred times, the decision and all of the state are what they were."""
    core = _core(home=3)
    core.on_request(Request("p", MODEL, session="s", prompt_tokens=200), 0, rng)
    request = Request("q", MODEL, session="s", prompt_tokens=300, prefix=(1, 2, 3))
    before = pickle.dumps(core)
    explained = [core.explain(request, 0, random.Random(3)) for _ in range(100)]
    core.snapshot(0)
    assert pickle.dumps(core) == before
    decided = core.on_request(request, 0, random.Random(3))
    assert all(each == decided for each in explained)


def test_listed_again_an_endpoint_keeps_what_was_learned(rng):
    """Discovery repeats itself every second."""
    core = _core(rented=0)
    for number in range(20):
        sent = _sent(core.on_request(Request(str(number), MODEL), number, rng))
        core.on_outcome(FirstToken(str(number), sent.endpoint, 400 * NS_PER_MS), number, rng)
        core.on_outcome(Ended(str(number), sent.endpoint, End.OK), number, rng)
    learned = _sent(core.explain(Request("q", MODEL), 20, rng)).chosen.ttft_ns
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), 20)
    assert _sent(core.explain(Request("q", MODEL), 20, rng)).chosen.ttft_ns == learned


def test_a_new_replica_starts_with_what_its_siblings_taught(rng):
    """The fleet's average, not the default, is the prior."""
    core = _core(rented=0)
    for number in range(50):
        sent = _sent(core.on_request(Request(str(number), MODEL), number, rng))
        core.on_outcome(FirstToken(str(number), sent.endpoint, 400 * NS_PER_MS), number, rng)
        core.on_outcome(Ended(str(number), sent.endpoint, End.OK), number, rng)
    core.on_endpoint_up(Endpoint("home-1", "home", MODEL), 50)
    candidates = _sent(core.explain(Request("q", MODEL), 50, rng)).candidates
    assert candidates[1].ttft_ns > 200 * NS_PER_MS


def test_a_gone_endpoint_is_remembered_until_its_last_stream_ends(rng):
    """Its outcome still counts, and then it is forgotten."""
    core = _core(rented=0)
    sent = _sent(core.on_request(Request("q", MODEL), 0, rng))
    core.on_endpoint_gone("home-0", 1)
    assert core.snapshot(1).open_streams == 1
    assert core.on_outcome(Ended("q", sent.endpoint, End.OK, output_tokens=5), 2, rng) is None
    site = core.snapshot(2).sites[0]
    assert (site.endpoints, site.output_tokens) == ((), 5)


def test_an_id_that_is_in_flight_is_the_drivers_mistake(rng):
    """Two requests under one id could not be told apart."""
    core = _core()
    core.on_request(Request("q", MODEL), 0, rng)
    with pytest.raises(ValueError, match="'q'"):
        core.on_request(Request("q", MODEL), 1, rng)


def test_events_of_unknown_endpoints_and_requests_are_ignored(rng):
    """They come late, after their endpoint has gone."""
    core = _core()
    core.on_connection("nobody", True, 0)
    core.on_rtt("nobody", 5, 0)
    core.on_load(LoadReport("nobody", "1", 1), 0)
    core.on_endpoint_gone("nobody", 0)
    assert core.on_outcome(Ended("nobody", "nobody", End.OK), 0, rng) is None
    with pytest.raises(KeyError):
        core.on_endpoint_up(Endpoint("x", "nowhere", MODEL), 0)
    with pytest.raises(KeyError):
        core.on_drain("nowhere", True, 0)


def test_over_budget_the_rented_site_is_left_out(rng):
    """Home is used although it misses, once the hour's money is gone."""
    price = Price(metered_usd_per_replica_hour=100.0, budget_usd_per_hour=0.001)
    core = RouterCore(fleet(ttft_ms=1, price=price))
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), 0)
    core.on_endpoint_up(Endpoint("rented-0", "rented", MODEL), 0)
    decision = _sent(core.on_request(Request("q", MODEL, prompt_tokens=900), 0, rng))
    assert decision.site == "home"
    assert decision.candidates[1].excluded == "over budget"


def test_classes_have_their_own_objectives_and_confidence(rng):
    """A stricter class overflows where a patient one stays home."""
    base = fleet()
    strict = SloClass("strict", 40 * NS_PER_MS, NS_PER_S, confidence=0.99)
    core = RouterCore(Fleet(base.sites, (*base.slo_classes, strict), "chat"))
    core.on_endpoint_up(Endpoint("home-0", "home", MODEL), 0)
    core.on_endpoint_up(Endpoint("rented-0", "rented", MODEL), 0)
    core.on_load(LoadReport("home-0", "1", 1, 1, 0, 3000, running_max=8), 0)
    assert _sent(core.explain(Request("a", MODEL), 0, rng)).site == "home"
    assert _sent(core.explain(Request("a", MODEL, slo="strict"), 0, rng)).site == "rented"


def test_the_snapshot_shows_what_was_heard(rng):
    """Sites, endpoints and totals as frozen values."""
    core = _core()
    core.on_rtt("home-0", 3 * NS_PER_MS, 0)
    core.on_load(LoadReport("home-0", "i", 1, 2, 1, 70, kv_usage=0.5), NS_PER_S)
    sent = _sent(core.on_request(Request("q", MODEL, session="s"), NS_PER_S, rng))
    core.on_request(Request("r", "nonsense"), NS_PER_S, rng)
    core.on_connection("rented-0", False, NS_PER_S)
    state = core.snapshot(2 * NS_PER_S)
    assert sent.site == "home"
    assert (state.sessions, state.open_streams, state.decided, state.refused) == (1, 1, 2, 1)
    home, rented = state.sites
    assert (home.turns, home.sessions, home.open_streams) == (1, 1, 1)
    (replica,) = home.endpoints
    assert (replica.in_flight, replica.running, replica.waiting) == (1, 2, 1)
    assert (replica.rtt_ns, replica.report_age_ns) == (3 * NS_PER_MS, NS_PER_S)
    assert replica.health is Health.UP
    assert rented.endpoints[0].health is Health.DOWN


def test_an_answer_that_comes_whole_is_not_overdue_while_it_is_made(rng):
    """Its first token is never seen; that says nothing against the endpoint."""
    core = _core(rented=0)
    whole = Request("w", MODEL, prompt_tokens=100, streams=False)
    sent = _sent(core.on_request(whole, 0, rng))
    core.on_outcome(FirstToken("unknown", sent.endpoint, NS_PER_MS), 0, rng)
    later = _sent(core.explain(Request("q", MODEL, prompt_tokens=100), 20 * NS_PER_S, rng))
    assert later.chosen.queue_ns == 0
    streamed = Request("s", MODEL, prompt_tokens=100)
    core.on_request(streamed, 20 * NS_PER_S, rng)
    stalled = core.explain(Request("q", MODEL, prompt_tokens=100), 40 * NS_PER_S, rng)
    assert stalled.candidates[0].queue_ns > 10 * NS_PER_S
    core.on_outcome(Ended("w", sent.endpoint, End.OK, 50, 1, 3 * NS_PER_S), 40 * NS_PER_S, rng)
    core.on_outcome(Ended("s", sent.endpoint, End.CANCELLED), 40 * NS_PER_S, rng)
    assert core.snapshot(0).open_streams == 0


def test_a_twentieth_of_somebody_elses_request_takes_no_slot(rng):
    """Two slots, one request in flight, and others that were there once in a while: no wait."""
    core = _core(rented=0)
    for sequence in range(40):
        now = sequence * NS_PER_S
        running = 1 if sequence == 30 else 0
        core.on_load(LoadReport("home-0", "1", sequence, running, running_max=2), now)
    later = now + Limits().report_stale_ns  # so that what others have is their mean
    _sent(core.on_request(Request("first", MODEL), later, rng))
    (candidate,) = _sent(core.explain(Request("second", MODEL), later, rng)).candidates
    assert candidate.queue_ns < 100 * NS_PER_MS
    _sent(core.on_request(Request("second", MODEL), later, rng))
    (candidate,) = _sent(core.explain(Request("third", MODEL), later, rng)).candidates
    assert candidate.queue_ns > 100 * NS_PER_MS
