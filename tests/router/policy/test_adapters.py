"""LoRA adapters: used where they are loaded, loaded where that is worth it, refused elsewhere."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.policy.adapters import (
    ADAPTER_UNHEARD,
    LOAD_NS,
    NO_ADAPTER,
    AdapterLoad,
    AdapterShelf,
)
from router.policy.core import RouterCore
from router.policy.decision import Refuse, Rule, Send
from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet, Site, SiteKind, SloClass
from router.policy.identity import UNKNOWN, EngineIdentity
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended, FirstToken
from router.policy.pool import CANDIDATES_MAX
from router.policy.request import Request
from router.policy.units import NS_PER_MS, NS_PER_S

FLEET = Fleet(
    (Site("home", SiteKind.HOME), Site("cloud", SiteKind.RENTED)),
    (SloClass("chat", ttft_ns=2 * NS_PER_S, itl_ns=NS_PER_S),),
    "chat",
)
LOAD = AdapterLoad(loaded_max=4, running_max=4, load_ns=200 * NS_PER_MS)


def identity(*adapters):
    return EngineIdentity("w", "t", "n", adapters=tuple((name, f"of {name}") for name in adapters))


class Bench:
    """A core, endpoints that say what they have, and requests with adapters."""

    def __init__(self, rng):
        self.core, self.rng, self.now = RouterCore(FLEET), rng, 0
        self._sequence = self._asked = 0

    def add(self, name, has=("poet",), loaded=(), site="home", **load):
        said = identity(*has) if has is not None else UNKNOWN
        self.core.on_endpoint_up(Endpoint(name, site, "m", identity=said), self.now)
        self.core.on_connection(name, connected=True, now=self.now)
        self.report(name, loaded, **load)

    def report(self, name, loaded=(), running=0, running_by=(), **load):
        self._sequence += 1
        adapters = dataclasses.replace(
            LOAD, loaded=tuple(loaded), running=tuple(running_by), **load
        )
        report = LoadReport(name, "1", self._sequence, running, running_max=8, adapters=adapters)
        self.core.on_load(report, self.now)

    def request(self, adapter="poet", **fields):
        self._asked += 1
        fields = {"prompt_tokens": 100, "max_new_tokens": 50} | fields
        return Request(f"q{self._asked}", "m", adapter=adapter, **fields)

    def explain(self, adapter="poet", **fields):
        """The candidates by their endpoints, and the decision."""
        decision = self.core.explain(self.request(adapter, **fields), self.now, self.rng)
        return {one.endpoint: one for one in decision.candidates}, decision

    def send(self, adapter="poet", **fields):
        decision = self.core.on_request(self.request(adapter, **fields), self.now, self.rng)
        assert isinstance(decision, Send), decision
        return decision


@pytest.fixture
def bench(rng):
    return Bench(rng)


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_an_adapter_is_used_where_it_is_loaded(bench, order):
    """And the decision says what loading it elsewhere would have cost."""
    for name in order:
        bench.add(name, loaded=("poet",) if name == "b" else ())
    judged, decision = bench.explain()
    assert decision.endpoint == "b"
    assert judged["b"].adapter_ns == 0
    assert judged["a"].adapter_ns == 200 * NS_PER_MS
    rest = judged["a"].network_ns + judged["a"].queue_ns + judged["a"].prefill_ns
    assert judged["a"].ttft_ns == rest + judged["a"].adapter_ns


def test_what_no_load_was_timed_of_is_taken_to_take_half_a_second(bench):
    bench.add("a", load_ns=0)
    judged, decision = bench.explain()
    assert judged["a"].adapter_ns == LOAD_NS
    assert "adapter 500 ms" in decision.reason


def test_without_an_adapter_nothing_is_loaded(bench):
    bench.add("a")
    assert bench.explain(adapter="")[0]["a"].adapter_ns == 0


def test_an_endpoint_without_it_takes_no_request_for_it(bench):
    """However idle it is, and however full the one that has it."""
    bench.add("a", has=())
    bench.add("b", running=8)
    judged, decision = bench.explain()
    assert decision.endpoint == "b"
    assert judged["a"].excluded == NO_ADAPTER


def test_what_nobody_has_is_unknown_and_named(bench):
    bench.add("a", has=("poet",))
    refused = bench.core.on_request(bench.request("../poet"), 0, bench.rng)
    assert isinstance(refused, Refuse)
    assert (refused.rule, refused.retry_after_ns) == (Rule.UNKNOWN_ADAPTER, 0)
    assert refused.reason == "no endpoint of model 'm' has the adapter '../poet'"


def test_what_is_away_with_its_endpoint_may_come_back(bench):
    """A replica that is replaced takes no adapter out of the world."""
    bench.add("a", has=())
    bench.add("b")
    bench.core.on_endpoint_gone("b", 0)
    assert bench.explain()[1].rule is Rule.NO_ENDPOINT
    bench.add("b2", loaded=("poet",))
    assert bench.explain()[1].endpoint == "b2"


def test_one_that_is_lost_is_no_unknown_adapter(bench):
    bench.add("a", has=())
    bench.add("b")
    bench.core.on_connection("b", connected=False, now=0)
    assert bench.explain()[1].rule is Rule.NO_ENDPOINT


def test_who_has_not_said_is_asked_only_where_nobody_else_has_it(bench):
    """A server that speaks no load reports may well have it."""
    bench.add("a", has=None)
    judged, decision = bench.explain()
    assert decision.endpoint == "a"
    assert judged["a"].excluded == ADAPTER_UNHEARD
    bench.add("b")
    assert bench.explain()[1].endpoint == "b"


def test_demand_has_it_loaded_at_another_endpoint(bench):
    """Once the queue in front of the one that has it costs more than loading."""
    bench.add("a", loaded=("poet",))
    bench.add("b")
    chosen = [bench.send(prompt_tokens=1_000).endpoint for _ in range(8)]
    assert chosen[:2] == ["a", "a"]
    assert "b" in chosen
    assert chosen.index("b") < 5


def test_an_adapter_that_is_being_loaded_is_waited_for_and_not_loaded_again(bench):
    """The second request for it waits for what is left of the first one's load."""
    bench.add("a", loaded=())
    bench.send()
    bench.now += 150 * NS_PER_MS
    assert bench.explain()[0]["a"].adapter_ns == 50 * NS_PER_MS
    bench.now += 100 * NS_PER_MS
    assert bench.explain()[0]["a"].adapter_ns == 0
    bench.now += 3 * NS_PER_S
    bench.report("a", loaded=())  # it was not, or is gone already
    assert bench.explain()[0]["a"].adapter_ns == 200 * NS_PER_MS


def test_where_all_places_are_taken_loading_counts_twice(bench):
    """Somebody else's adapter goes, and will be waited for in turn."""
    bench.add("a", has=("poet", "x", "y"), loaded=("x", "y"), loaded_max=2)
    bench.add("b", has=("poet", "x", "y"), loaded=("x",), loaded_max=2)
    judged, decision = bench.explain()
    assert judged["a"].score_ns - judged["b"].score_ns == 200 * NS_PER_MS
    assert judged["a"].ttft_ns == judged["b"].ttft_ns
    assert decision.endpoint == "b"


def test_a_batch_that_has_all_the_adapters_it_can_is_waited_for(bench):
    """For the one of them with the fewest streams; those of the batch wait for nobody."""
    loaded = {"has": ("poet", "x", "y"), "loaded": ("poet", "x", "y")}
    bench.add("a", running=5, running_by=(("x", 4), ("y", 1)), running_max=2, **loaded)
    judged, _ = bench.explain()
    assert judged["a"].adapter_ns > 0
    fewer = judged["a"].adapter_ns
    bench.report("a", loaded["loaded"], 8, (("x", 4), ("y", 4)), running_max=2)
    assert bench.explain()[0]["a"].adapter_ns > fewer
    assert bench.explain(adapter="x")[0]["a"].adapter_ns == 0
    assert bench.explain(adapter="")[0]["a"].adapter_ns == 0


def test_loading_teaches_nothing_of_queues_and_prefills(bench):
    """Else an endpoint would be taken for slow because it had once to read a file."""
    bench.add("a", loaded=())
    before = bench.explain(adapter="")[0]["a"].ttft_ns
    for number in range(20):
        sent = bench.send()
        bench.now += NS_PER_S
        first = FirstToken(sent.request, "a", NS_PER_S)
        bench.core.on_outcome(first, bench.now, bench.rng)
        ended = Ended(sent.request, "a", End.OK, 10, 10, NS_PER_S)
        bench.core.on_outcome(ended, bench.now, bench.rng)
        bench.now += 10 * NS_PER_S * (number + 1)
        bench.report("a", loaded=())
    assert bench.explain(adapter="")[0]["a"].ttft_ns <= before


def test_a_restarted_engine_has_nothing_loaded(bench):
    bench.add("a")
    bench.send()
    bench.now += 300 * NS_PER_MS
    report = LoadReport("a", "2", 1, running_max=8, adapters=LOAD)
    bench.core.on_load(report, bench.now)
    assert bench.explain()[0]["a"].adapter_ns == 200 * NS_PER_MS


def test_who_says_nothing_of_adapters_is_believed_to_have_them_loaded(bench):
    """There is nothing to go by: neither a wait nor a preference."""
    bench.core.on_endpoint_up(Endpoint("a", "home", "m", identity=identity("poet")), 0)
    assert bench.explain()[0]["a"].adapter_ns == 0


def test_home_loads_it_rather_than_leave_it_to_rented_capacity(bench):
    """Home is used first: a load within the objective is no miss."""
    bench.add("a")
    bench.add("r", loaded=("poet",), site="cloud")
    assert bench.explain()[1].endpoint == "a"
    bench.report("a", (), load_ns=3 * NS_PER_S)
    assert bench.explain()[1].endpoint == "r"


def test_who_waits_for_an_adapter_that_few_have_holds_up_nobody_else(bench):
    """They wait in a lane of their own, as there may be room elsewhere for all others."""
    bench.add("a", has=(), loaded=())
    bench.add("b", loaded=("poet",))
    for _ in range(40):
        bench.core.on_request(bench.request(), 0, bench.rng)
    assert not isinstance(bench.core.on_request(bench.request(), 0, bench.rng), Send)
    assert bench.send(adapter="").endpoint == "a"


def test_among_hundreds_the_one_that_has_it_loaded_is_found(bench):
    """Chance alone would rarely draw it; and few are judged."""
    for number in range(200):
        bench.add(f"n{number}", has=("poet",) if number % 2 else ())
    bench.report("n151", ("poet",))
    judged, decision = bench.explain()
    assert decision.endpoint == "n151"
    assert len(judged) <= CANDIDATES_MAX
    assert not any(one.excluded for one in judged.values())
    assert bench.explain(adapter="none")[1].rule is Rule.UNKNOWN_ADAPTER


NAMES = st.sampled_from("abcdef")
SAID = st.none() | st.builds(
    AdapterLoad,
    loaded=st.lists(NAMES, unique=True).map(tuple),
    loaded_max=st.integers(0, 3),
    running=st.dictionaries(NAMES, st.integers(0, 9)).map(lambda one: tuple(one.items())),
    running_max=st.integers(0, 3),
    load_ns=st.integers(0, NS_PER_S),
)
STEPS = st.lists(
    st.tuples(st.just("send"), NAMES, st.integers(0, NS_PER_S))
    | st.tuples(st.just("hear"), SAID, st.booleans())
    | st.tuples(st.just("wait"), st.integers(0, 5 * NS_PER_S), st.none()),
    max_size=40,
)


@given(STEPS, NAMES)
def test_whatever_is_sent_and_said_a_wait_is_one_load_at_most(steps, name):
    """Never negative, and nothing where it is said to be loaded."""
    shelf, now, said = AdapterShelf(identity(*"abc")), 0, None
    longest = LOAD_NS
    for what, first, second in steps:
        if what == "send":
            shelf.on_send(first, second, now)
            longest = max(longest, second)
        elif what == "hear":
            shelf.hear(first, now, restarted=second)
            said = first
            longest = max(longest, said.load_ns if said else 0)
        else:
            now += first
        assert 0 <= shelf.load_ns(name, now) <= longest
        assert shelf.streams_before(name) >= 0
        assert shelf.why_not(name) == ("" if name in "abc" else NO_ADAPTER)
    if said is not None and name in said.loaded:
        assert shelf.load_ns(name, now) == 0
