"""What a tenant may use in a minute and at a time, and what it may ask for at all."""

import random

import pytest

from router.policy.core import RouterCore
from router.policy.decision import Refuse, Rule, Send
from router.policy.endpoint import Endpoint
from router.policy.entitlement import may_see, why_not
from router.policy.fleet import Fleet, Site, SiteKind, SloClass, Tenant
from router.policy.outcome import End, Ended
from router.policy.recovery import Again
from router.policy.request import Request
from router.policy.resume import ResumePoint
from router.policy.tenants import TenantState
from router.policy.units import NS_PER_S

MINUTE_NS = 60 * NS_PER_S


class Bench:
    """A core with one endpoint and one tenant beside the default one."""

    def __init__(self, **terms) -> None:
        classes = (SloClass("chat", 10 * NS_PER_S, NS_PER_S), SloClass("batch", 10**12, NS_PER_S))
        site = Site("home", SiteKind.HOME)
        self.core = RouterCore(Fleet((site,), classes, "chat", tenants=(Tenant("acme", **terms),)))
        self.core.on_endpoint_up(Endpoint("e", "home", "m"), 0)
        self.rng, self.now, self.count = random.Random(1), 0, 0

    def ask(self, tenant="acme", output_tokens=None, **more):
        self.count += 1
        asked = Request(f"r{self.count}", "m", tenant=tenant, prompt_tokens=100, **more)
        answer = self.core.on_request(asked, self.now, self.rng)
        if isinstance(answer, Send) and output_tokens is not None:
            ended = Ended(asked.id, "e", End.OK, output_tokens, output_tokens, NS_PER_S)
            self.core.on_outcome(ended, self.now, self.rng)
        return answer

    def until_refused(self, most=1_000, **more):
        """How many came in, and the refusal of the next."""
        for count in range(most):
            answer = self.ask(**more)
            if isinstance(answer, Refuse):
                return count, answer
        pytest.fail("nothing was refused")


@pytest.mark.parametrize(
    ("quota", "most", "came"),
    [
        ("requests_per_minute", 40, 10),
        ("prompt_tokens_per_minute", 4_000, 10),
        ("output_tokens_per_minute", 4_000, 20),
        ("tokens_per_minute", 4_000, 7),
    ],
)
def test_a_quota_lets_in_a_quarter_of_a_minutes_at_once_and_tells_when_there_is_more(
    quota, most, came
):
    """Prompts of 100 tokens with answers of 50; other tenants are not kept out by it."""
    bench = Bench(**{quota: most})
    count, refused = bench.until_refused(output_tokens=50)
    assert count == came
    assert (refused.rule, refused.quota) == (Rule.RATE, quota)
    assert f"its {most} " in refused.reason
    assert isinstance(bench.ask("other", output_tokens=50), Send)
    bench.now += refused.retry_after_ns
    assert isinstance(bench.ask(output_tokens=50), Send)


def test_over_a_long_time_no_more_comes_in_than_the_quota_says():
    """However hard it is tried."""
    bench = Bench(requests_per_minute=30)
    came = 0
    for _ in range(1_200):
        came += isinstance(bench.ask(output_tokens=1), Send)
        bench.now += NS_PER_S // 2
    assert 300 <= came <= 300 + 30 // 4 + 1


def test_of_several_quotas_the_one_that_takes_longest_is_told():
    """Else its caller would come back to be refused by the other."""
    bench = Bench(requests_per_minute=4, prompt_tokens_per_minute=200)
    _, refused = bench.until_refused(output_tokens=1)
    assert refused.quota == "prompt_tokens_per_minute"
    assert refused.retry_after_ns > 10 * NS_PER_S


def test_so_many_streams_are_open_at_a_time():
    """The request says how many there are, and each router that shares has its part of them."""
    bench = Bench(streams_max=2)
    assert isinstance(bench.ask(open_streams=1), Send)
    refused = bench.ask(open_streams=2)
    assert (refused.rule, refused.quota) == (Rule.RATE, "streams_max")
    assert refused.retry_after_ns
    state = TenantState(Tenant("acme", streams_max=5), shared=True)
    assert state.used_up(1, 2, 0) is None
    assert state.used_up(2, 2, 0) is not None
    assert state.used_up(0, 9, 0) is None


@pytest.mark.parametrize(
    ("terms", "asked", "named"),
    [
        ({"models": ("n",)}, {}, "'m'"),
        ({"models": ()}, {}, "may: none"),
        ({"adapters": ("a", "b")}, {"adapter": "c"}, "'c'"),
        ({"slo_classes": ("batch",)}, {}, "'chat'"),
        ({"slo_classes": ("chat",)}, {"slo": "batch"}, "'batch'"),
    ],
)
def test_what_a_tenant_may_not_ask_for_is_refused(terms, asked, named):
    """Before anything is looked at, and the explanation says the same."""
    bench = Bench(**terms)
    refused = bench.ask(**asked)
    assert refused.rule is Rule.NOT_ENTITLED
    assert named in refused.reason
    assert not refused.candidates
    request = Request("x", "m", tenant="acme", **asked)
    assert bench.core.explain(request, 0, bench.rng).rule is Rule.NOT_ENTITLED
    assert isinstance(bench.ask("other", **asked), Send)


def test_what_is_allowed_is_let_in():
    """By its name among those listed; without an adapter, none is needed."""
    bench = Bench(models=("m",), adapters=("a",), slo_classes=("chat",))
    assert isinstance(bench.ask(), Send)
    assert isinstance(bench.ask(adapter="a", slo="chat"), Send)


def test_whether_what_is_forbidden_exists_is_not_told():
    """A model that nobody serves is refused in the very words."""
    tenant = Tenant("acme", models=("m",))
    said = [why_not(tenant, Request("1", name), "chat").replace(name, "") for name in ("x", "yy")]
    assert said[0] == said[1] != ""


def test_what_is_there_for_a_tenant():
    """Everything, where nothing is listed."""
    assert may_see(None, "m", "a")
    assert may_see(Tenant("acme"), "m", "a")
    assert not may_see(Tenant("acme", models=("n",)), "m")
    assert not may_see(Tenant("acme", adapters=()), "m", "a")
    assert may_see(Tenant("acme", adapters=()), "m")


def test_a_stream_that_has_begun_is_not_charged_anew():
    """It broke off, nobody could go on with it, and it asks until somebody can."""
    bench = Bench(requests_per_minute=4)
    bench.until_refused(output_tokens=1)
    rest = Request("begun", "m", tenant="acme", resume=ResumePoint(3, 100))
    answer = bench.core.on_asked_again(Again(rest, (), 2, 1), bench.now, bench.rng)
    assert isinstance(answer, Send)
