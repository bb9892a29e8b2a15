"""What waits in the router under overload, in which order it goes, and who is refused."""

import heapq
from collections import Counter

import pytest

from router.policy.core import RouterCore
from router.policy.decision import Refuse, Rule, Send, Wait
from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet, Limits, Site, SiteKind, SloClass, Tenant
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended, FirstToken, Outcome
from router.policy.request import Request
from router.policy.units import NS_PER_MS, NS_PER_S

SLOTS = 4
HOLD_NS = 200 * NS_PER_MS  # for which one request holds a slot


class Bench:
    """One home endpoint with a few slots, driven by hand; every request holds one for 200 ms."""

    def __init__(self, rng, *, limits: Limits | None = None, tenants: tuple[Tenant, ...] = ()):
        self.core = RouterCore(
            Fleet(
                sites=(Site("home", SiteKind.HOME),),
                slo_classes=(
                    SloClass("chat", NS_PER_S, NS_PER_S),
                    SloClass("batch", 60 * NS_PER_S, NS_PER_S, priority=2),
                ),
                default_slo="chat",
                limits=limits or Limits(),
                tenants=tenants,
            )
        )
        self.rng = rng
        self.now = NS_PER_S
        self.number = 0
        self.events: list[tuple[int, int, Outcome]] = []
        self.ends: list[int] = []  # of all that were sent, in order
        self.tenant_of: dict[str, str] = {}
        self.sent: list[str] = []
        self.refused: dict[str, Refuse] = {}
        self.core.on_endpoint_up(Endpoint("e", "home", "m"), 0)
        self.core.on_load(LoadReport("e", "1", 1, running_max=SLOTS), self.now)

    def ask(self, **request) -> Send | Wait | Refuse:
        """A request comes."""
        self.number += 1
        request = {"prompt_tokens": 20, "max_new_tokens": 10, **request}
        asked = Request(f"r{self.number}", "m", **request)
        self.tenant_of[asked.id] = asked.tenant
        answer = self.core.on_request(asked, self.now, self.rng)
        self._hear(answer)
        self._release()
        return answer

    def fill(self) -> None:
        """Take every slot, and all the room beside them."""
        while not isinstance(self.ask(tenant="filler"), Wait):
            pass

    def run(self, span_ns: int) -> None:
        """Let time pass: what runs ends, what waits goes on."""
        until = self.now + span_ns
        while self.now < until:
            self.now = min([until, *[at for at, _, _ in self.events[:1]], *self._due()])
            while self.events and self.events[0][0] <= self.now:
                _, _, outcome = heapq.heappop(self.events)
                self.core.on_outcome(outcome, self.now, self.rng)
            self._release()

    def _due(self) -> list[int]:
        at = self.core.release_ns
        return [] if at is None else [max(at, self.now + 1)]

    def _release(self) -> None:
        for answer in self.core.release(self.now, self.rng):
            self._hear(answer)

    def _hear(self, answer) -> None:
        if isinstance(answer, Refuse):
            self.refused[answer.request] = answer
        elif isinstance(answer, Send):
            self.sent.append(answer.request)
            begins = max(self.now, self.ends[-SLOTS] if len(self.ends) >= SLOTS else 0)
            ends = begins + HOLD_NS
            self.ends.append(ends)
            first = FirstToken(answer.request, "e", begins + 10 * NS_PER_MS - self.now)
            ended = Ended(answer.request, "e", End.OK, 10, 10, ends - self.now)
            heapq.heappush(self.events, (begins + 10 * NS_PER_MS, len(self.ends), first))
            heapq.heappush(self.events, (ends, len(self.ends), ended))


def _overload(bench: Bench, seconds: int, per_s: int, **request) -> None:
    for _ in range(seconds * per_s):
        bench.ask(**request)
        bench.run(NS_PER_S // per_s)


def test_what_finds_no_room_waits_and_goes_when_there_is_some(rng):
    """In the order of arrival, each once."""
    bench = Bench(rng)
    bench.fill()
    waiting = [bench.number] + [int(bench.ask().request[1:]) for _ in range(3)]
    assert len(bench.core._admission) == 4
    bench.run(NS_PER_S)
    assert [int(one[1:]) for one in bench.sent][-4:] == waiting
    assert len(bench.core._admission) == 0
    assert not bench.refused


def test_short_prompts_go_before_long_ones_that_came_a_little_earlier(rng):
    """In one tenant's queue; a long one is not overtaken by what comes after its patience."""
    bench = Bench(rng)
    bench.fill()
    long = bench.ask(prompt_tokens=2_000).request
    short = bench.ask(prompt_tokens=20).request
    bench.run(2 * NS_PER_S)
    assert bench.sent.index(short) < bench.sent.index(long)


def test_a_late_comer_does_not_pass_those_who_wait(rng):
    """Even if there is room at the moment it comes."""
    bench = Bench(rng)
    bench.fill()
    first = f"r{bench.number}"
    bench.now += HOLD_NS
    for name in bench.sent:
        bench.core.on_outcome(Ended(name, "e", End.OK, 10, 10, HOLD_NS), bench.now, rng)
    second = bench.ask()
    assert isinstance(second, Wait)
    assert bench.sent.index(first) < bench.sent.index(second.request)


def test_a_burst_is_waited_out(rng):
    """Three seconds of work at once: nobody is refused, though most are late."""
    bench = Bench(rng)
    for _ in range(60):
        bench.ask()
    bench.run(4 * NS_PER_S)
    assert len(bench.sent) == 60
    assert not bench.refused


def test_standing_overload_is_refused_on_arrival_with_a_time_to_come_back(rng):
    """Ten times the capacity: as much is served as could be, in time, and the queue stays short."""
    bench = Bench(rng)
    _overload(bench, 8, 200)
    sent_before, number_before = len(bench.sent), bench.number
    _overload(bench, 5, 200)
    assert len(bench.sent) - sent_before >= 0.9 * 5 * NS_PER_S / HOLD_NS * SLOTS
    refused = [one for name, one in bench.refused.items() if int(name[1:]) > number_before]
    assert len(refused) > 800
    assert {one.rule for one in refused} == {Rule.OVERLOAD}
    assert all(one.retry_after_ns >= Limits().retry_after_min_ns for one in refused)
    assert len({one.retry_after_ns for one in refused}) > 100
    assert len(bench.core._admission) < 40
    late = [one for one in refused if "waited" in one.reason]
    assert len(late) < 0.1 * len(refused)


def test_p11_a_flood_of_one_tenant_takes_nothing_from_another(rng):
    """The other asks for less than its share, and gets all of it once the endpoint is known."""
    bench = Bench(rng, tenants=(Tenant("loud"), Tenant("quiet")))
    _overload(bench, 1, 100, tenant="loud")
    for _ in range(10 * 8):
        for _ in range(25):
            bench.ask(tenant="loud")
        bench.ask(tenant="quiet")
        bench.run(NS_PER_S // 8)
    quiet = [name for name in bench.refused if bench.tenant_of[name] == "quiet"]
    assert not quiet


def test_p11_tenants_that_all_flood_get_the_ratio_of_their_weights(rng):
    """Three to one, whatever they ask for."""
    bench = Bench(rng, tenants=(Tenant("gold", 3), Tenant("base")))
    for _ in range(10 * 20):
        for _ in range(5):
            bench.ask(tenant="gold")
        for _ in range(10):
            bench.ask(tenant="base")
        bench.run(NS_PER_S // 20)
    count = Counter(bench.tenant_of[name] for name in bench.sent[40:])
    assert count["gold"] / count["base"] == pytest.approx(3.0, rel=0.2)


def test_p11_a_first_level_goes_before_a_second_which_still_moves(rng):
    """Batch work that waits is passed by chat, and has an eighth of the rest."""
    bench = Bench(rng)
    for _ in range(200):
        bench.ask(slo="batch")
    batch = set(bench.tenant_of)
    before = len(bench.sent)
    _overload(bench, 5, 50)
    sent = bench.sent[before:]
    share = sum(name in batch for name in sent) / len(sent)
    assert 0.05 < share < 0.2


def test_unknown_tenants_are_the_default_one(rng):
    """Names that clients make up gain nothing, and take no memory."""
    bench = Bench(rng, tenants=(Tenant("known"),))
    for number in range(10 * 20):
        for _ in range(10):
            bench.ask(tenant=f"made-up-{number}")
        bench.ask(tenant="known")
        bench.run(NS_PER_S // 20)
    known = sum(bench.tenant_of[name] == "known" for name in bench.sent[20:])
    assert known / len(bench.sent[20:]) == pytest.approx(0.5, abs=0.1)


def test_a_tenant_over_its_rate_is_told_when_it_may_come_back(rng):
    """Though there is room; others are not bound by it."""
    bench = Bench(rng, tenants=(Tenant("bound", tokens_per_minute=1200),))
    answers = [bench.ask(tenant="bound") for _ in range(13)]
    refused = [one for one in answers if isinstance(one, Refuse)]
    assert refused
    assert {one.rule for one in refused} == {Rule.RATE}
    assert 0 < refused[0].retry_after_ns <= 10 * NS_PER_S
    bench.run(NS_PER_S)
    assert isinstance(bench.ask(tenant="other"), Send)
    bench.run(10 * NS_PER_S)
    assert isinstance(bench.ask(tenant="bound"), Send)


def test_a_client_that_goes_leaves_the_queue(rng):
    """Its place is the next one's."""
    bench = Bench(rng)
    bench.fill()
    gone = f"r{bench.number}"
    bench.core.on_withdrawn(gone, bench.now)
    bench.core.on_withdrawn("unknown", bench.now)
    assert len(bench.core._admission) == 0
    bench.run(NS_PER_S)
    assert gone not in bench.sent
    assert gone not in bench.refused


def test_a_full_queue_gives_the_place_of_the_longest_tenant_to_another(rng):
    """One tenant cannot fill it for all."""
    bench = Bench(rng, limits=Limits(queue_max=20), tenants=(Tenant("loud"), Tenant("quiet")))
    bench.fill()
    for _ in range(50):
        bench.ask(tenant="loud")
    assert len(bench.core._admission) == 20
    assert isinstance(bench.ask(tenant="quiet"), Wait)
    assert len(bench.core._admission) == 20
    assert len(bench.refused) == 50 - 19 + 1


def test_a_client_with_little_time_is_refused_before_it_is_too_late(rng):
    """Its own deadline counts, where it is tighter than the objective."""
    bench = Bench(rng)
    bench.fill()
    bench.run(NS_PER_S)
    bench.fill()
    for _ in range(20):
        bench.ask()
    hasty = bench.ask(deadline_ns=bench.now + 300 * NS_PER_MS)
    bench.run(300 * NS_PER_MS)
    assert hasty.request in bench.refused


def test_explaining_a_wait_changes_nothing(rng):
    """It says so, and the queue is as it was."""
    bench = Bench(rng)
    bench.fill()
    explained = bench.core.explain(Request("x", "m", prompt_tokens=20), bench.now, bench.rng)
    assert isinstance(explained, Wait)
    assert explained.candidates
    assert len(bench.core._admission) == 1
