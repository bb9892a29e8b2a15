"""What attempts cost: each is charged once, and together they are what their site's bill is."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from router.policy.core import RouterCore
from router.policy.decision import Send
from router.policy.endpoint import Endpoint
from router.policy.fleet import Price, Site, SiteKind, SloClass, Tenant
from router.policy.identity import EngineIdentity
from router.policy.lease import ClaimKind, LeaseAccount, LeaseClaim, Stage
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended
from router.policy.request import Request
from router.policy.resume import ResumePoint
from router.policy.units import NS_PER_HOUR, NS_PER_MS, NS_PER_S
from tests.router.policy import test_counts, toy

GIB = 1 << 30
_IDENTITY = EngineIdentity("weights", "tokenizer", "numerics")


def _fleet():
    price = Price(
        committed_replicas=1,
        metered_usd_per_replica_hour=4.0,
        egress_usd_per_gib=0.1,
        committed_usd_per_replica_hour=2.0,
    )
    fleet = toy.fleet()
    return replace(
        fleet,
        sites=(
            Site("home", SiteKind.HOME, price=Price(committed_usd_per_replica_hour=1.0)),
            Site("rented", SiteKind.RENTED, price=price, hardware="h100", gpus=8),
        ),
        slo_classes=(
            SloClass("chat", NS_PER_S, 200 * NS_PER_MS, hedge_share=1.0, hedge_usd_per_hour=100.0),
        ),
        tenants=(Tenant("acme"),),
    )


class _World:
    """A core with what it charged."""

    def __init__(self):
        self.charges = []
        self.core = RouterCore(_fleet(), self.charges.append)


def _send_to_rented(core, request, now=NS_PER_S):
    core.on_endpoint_up(Endpoint("rented-0", "rented", toy.MODEL), now)
    decision = core.on_request(request, now, toy.random.Random(1))
    assert isinstance(decision, Send), decision
    return decision


def test_an_attempt_is_charged_with_all_that_it_took():
    """GPU-seconds of each kind, bytes, and what the site's prices make of them."""
    world = _World()
    core, rng = world.core, toy.random.Random(1)
    _send_to_rented(core, Request("r1", toy.MODEL, tenant="acme", prompt_tokens=100))
    ended = Ended("r1", "rented-0", End.OK, output_tokens=7, messages=7, egress_bytes=GIB)
    core.on_outcome(ended, NS_PER_S + NS_PER_HOUR, rng)
    (charge,) = world.charges
    assert (charge.number, charge.request, charge.attempt, charge.kind) == (1, "r1", 1, "first")
    assert (charge.tenant, charge.site, charge.model) == ("acme", "rented", toy.MODEL)
    assert (charge.hardware, charge.output_tokens, charge.prompt_tokens) == ("h100", 7, 100)
    assert charge.committed_gpu_s == pytest.approx(8 * 3600)
    assert charge.committed_usd == pytest.approx(2.0)
    assert (charge.metered_gpu_s, charge.metered_usd) == (0.0, 0.0)
    assert charge.egress_usd == pytest.approx(0.1)
    assert charge.spent_usd == pytest.approx(0.1)
    core.on_outcome(ended, NS_PER_S + 2 * NS_PER_HOUR, rng)
    assert len(world.charges) == 1  # a second end is nobody's


def test_a_tenant_that_the_file_does_not_have_is_the_default_one():
    """No ledger grows with the names that clients make up."""
    world = _World()
    _send_to_rented(world.core, Request("r1", toy.MODEL, tenant="made-up"))
    world.core.on_outcome(Ended("r1", "rented-0", End.OK), 2 * NS_PER_S, toy.random.Random(1))
    assert world.charges[0].tenant == "default"


def test_a_lease_is_charged_once_whoever_tells_of_it():
    """By the endpoint's account, however often it comes and whatever its client claims."""
    world = _World()
    core = world.core
    _send_to_rented(core, Request("r1", toy.MODEL, direct=True, prompt_tokens=10))
    account = LeaseAccount("r1", 1, Stage.ENDED, output_tokens=5, messages=5, egress_bytes=9)
    for sequence in (1, 2):
        report = LoadReport("rented-0", "1", sequence, accounts=(account,))
        core.on_load(report, (1 + sequence) * NS_PER_S)
        core.on_claim(LeaseClaim("r1", ClaimKind.COMPLETE, 5, 5), (1 + sequence) * NS_PER_S)
    for second in range(4, 200):
        core.on_tick(second * NS_PER_S)
    (charge,) = world.charges
    assert (charge.kind, charge.output_tokens, charge.egress_bytes) == ("lease", 5, 9)


def test_a_request_that_its_client_brings_back_is_one():
    """From a lease that it did not use, and with the beginning of a stream that broke off."""
    world = _World()
    core, rng = world.core, toy.random.Random(1)
    _send_to_rented(core, Request("r1", toy.MODEL, direct=True, prompt_tokens=10))
    core.on_claim(LeaseClaim("r1", ClaimKind.NEVER_BEGAN), NS_PER_S)
    point = ResumePoint(prompt_tokens=10, tokens=3, identity=_IDENTITY)
    for name, resume in (("r2", None), ("r3", point)):
        core.on_request(Request(name, toy.MODEL, prompt_tokens=10, resume=resume), NS_PER_S, rng)
        core.on_outcome(Ended(name, "rented-0", End.OK, output_tokens=5), NS_PER_S, rng)
    assert [charge.kind for charge in world.charges] == ["unused", "first", "resume"]


class Accounts(test_counts.Fleet):
    """Requests, hedges, resumes, leases and churn in any order."""

    def __init__(self):
        super().__init__()
        self.charges = []
        self.core = RouterCore(_fleet(), self.charges.append)
        self.worked_ns = Counter()
        self.sent = 0
        self.direct = set()

    def _pass(self, before):
        for tracked in self.core._registry.by_name.values():
            self.worked_ns[tracked.site.name] += (self.now - before) * (tracked.in_flight > 0)

    @rule(milliseconds=st.integers(0, 5_000))
    def time_passes(self, milliseconds):
        before, self.now = self.now, self.now + milliseconds * NS_PER_MS
        self._pass(before)
        self.core.on_tick(self.now)

    @rule(name=test_counts._names)
    def an_endpoint_comes(self, name):
        endpoint = Endpoint(name, test_counts._NAMES[name], toy.MODEL, identity=_IDENTITY)
        self.core.on_endpoint_up(endpoint, self.now)

    @rule(tokens=st.integers(0, 5_000), streams=st.booleans(), tenant=st.sampled_from(["", "acme"]))
    def a_tenant_asks(self, tokens, streams, tenant):
        self.count += 1
        request = Request(
            str(self.count), toy.MODEL, tenant=tenant, prompt_tokens=tokens, streams=streams
        )
        self._follow(request.id, self.core.on_request(request, self.now, self.rng))

    @rule(used=st.booleans(), told=st.booleans())
    def a_lease_is_given(self, used, told):
        self.count += 1
        lease = f"lease-{self.count}"
        decision = self.core.on_request(
            Request(lease, toy.MODEL, direct=True, prompt_tokens=9), self.now, self.rng
        )
        if not isinstance(decision, Send):
            return
        self.sent += 1
        self.direct.add(lease)
        if used:
            self.sequence += 1
            account = LeaseAccount(lease, 1, Stage.ENDED, output_tokens=3, messages=3)
            report = LoadReport(decision.endpoint, "1", self.sequence, accounts=(account,) * 2)
            self.core.on_load(report, self.now)
        if told:
            self.core.on_claim(LeaseClaim(lease, ClaimKind.COMPLETE, 3, 3), self.now)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def a_first_token_is_overdue(self, data):
        request = data.draw(st.sampled_from(sorted(self.open)))
        decision = self.core.on_hedge_due(request, self.now, self.rng)
        if isinstance(decision, Send):
            self._follow(decision.request, decision)

    @precondition(lambda self: self.started)
    @rule(data=st.data())
    def a_stream_breaks_off(self, data):
        request = data.draw(st.sampled_from(sorted(self.started)))
        point = ResumePoint(prompt_tokens=10, tokens=3, identity=_IDENTITY)
        ended = Ended(
            request,
            self.open.pop(request).endpoint,
            End.UNREACHABLE,
            output_tokens=3,
            messages=3,
            egress_bytes=1_000,
            resume=point,
        )
        self.started.discard(request)
        self._follow(request, self.core.on_outcome(ended, self.now, self.rng))

    def _follow(self, request, decision):
        if isinstance(decision, Send):
            self.sent += 1
        super()._follow(request, decision)

    @invariant()
    def what_is_counted_is_what_is_open(self):
        state = self.core.snapshot(self.now)
        assert state.open_streams == self.sent - len(self.charges)

    @invariant()
    def charges_have_no_gaps(self):
        assert [one.number for one in self.charges] == list(range(1, len(self.charges) + 1))

    def teardown(self):
        for request in sorted(self.open):
            while request in self.open:
                self._end(request, End.CANCELLED)
        for name in test_counts._NAMES:
            self.core.on_endpoint_gone(name, self.now)  # ends the leases
        assert self.sent == len(self.charges)
        for name, site in self.core._registry.sites.items():
            here = [one for one in self.charges if one.site == name]
            spent = sum(one.spent_usd for one in here)
            assert spent == pytest.approx(site.spend.spent_usd(self.now), abs=1e-12)
            gpu_s = sum(one.committed_gpu_s + one.metered_gpu_s for one in here)
            worked_s = self.worked_ns[name] / NS_PER_S * site.site.gpus
            assert gpu_s == pytest.approx(worked_s, abs=1e-6)
            assert all(one.metered_gpu_s == 0.0 for one in here if name == "home")
            assert not site.meter._replicas


TestAccounts = Accounts.TestCase
TestAccounts.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
