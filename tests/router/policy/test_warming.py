"""A new site gets a trickle, more as it answers well, and everything once it is warm."""

import dataclasses
import random

from hypothesis import given
from hypothesis import strategies as st

from router.policy.core import RouterCore
from router.policy.decision import Send, Wait
from router.policy.endpoint import Endpoint
from router.policy.fleet import Limits, Price
from router.policy.judge import WARMING
from router.policy.load import LoadReport
from router.policy.outcome import End, Ended, FirstToken
from router.policy.request import Request
from router.policy.units import NS_PER_MS, NS_PER_S
from router.policy.warming import TurnCount, Warming
from tests.router.policy.toy import MODEL, World, fleet

LIMITS = Limits()
FREE = Price(committed_replicas=1)


def site(core, name):
    return next(one for one in core.snapshot(0).sites if one.name == name)


class Asking:
    """A core that is asked one request after the other."""

    def __init__(self):
        self.core = RouterCore(fleet(price=FREE))
        self.rng = random.Random(1)
        self.now = NS_PER_S
        self.number = 0

    def up(self, name, site):
        self.core.on_endpoint_up(Endpoint(name, site, MODEL), self.now)
        self.core.on_connection(name, True, self.now)

    def ask(self):
        self.number += 1
        self.now += 10 * NS_PER_MS
        request = Request(f"r{self.number}", MODEL, prompt_tokens=10, max_new_tokens=10)
        return self.core.on_request(request, self.now, self.rng)

    def send(self):
        decision = self.ask()
        assert isinstance(decision, Send)
        return decision

    def end(self, send, end=End.OK, ttft_ns=NS_PER_MS):
        self.now += NS_PER_MS
        if end is End.OK:
            first = FirstToken(send.request, send.endpoint, ttft_ns)
            self.core.on_outcome(first, self.now, self.rng)
        ended = Ended(send.request, send.endpoint, end, output_tokens=5, messages=1)
        self.core.on_outcome(ended, self.now, self.rng)

    def prove(self):
        self.up("home-0", "home")
        for _ in range(LIMITS.warming_answers):
            self.end(self.send())


def test_sites_that_are_there_from_the_start_are_warm():
    """A router that starts knows none of them, and must serve."""
    asking = Asking()
    asking.up("home-0", "home")
    asking.up("rented-0", "rented")
    assert [one.warming_share for one in asking.core.snapshot(0).sites] == [1.0, 1.0]


def test_a_site_that_comes_later_is_new_and_is_told_apart_in_decisions():
    """One turn there at a time, while there is another site."""
    asking = Asking()
    asking.prove()
    asking.up("rented-0", "rented")
    assert site(asking.core, "rented").warming_share == LIMITS.warming_share
    sends = [asking.send() for _ in range(12)]
    assert sum(one.site == "rented" for one in sends) <= 1
    excluded = {c.endpoint: c.excluded for c in sends[-1].candidates}
    if any(one.site == "rented" for one in sends):
        assert excluded["rented-0"] == WARMING


def test_a_site_met_before_is_not_new_when_it_is_listed_again():
    """Its replicas come and go."""
    asking = Asking()
    asking.up("rented-0", "rented")
    asking.prove()
    asking.core.on_endpoint_gone("rented-0", asking.now)
    asking.up("rented-1", "rented")
    assert site(asking.core, "rented").warming_share == 1.0


def test_where_nobody_else_is_a_new_site_takes_all():
    """To be tried is better than to be refused."""
    asking = Asking()
    asking.prove()
    asking.up("rented-0", "rented")
    asking.core.on_connection("home-0", False, asking.now)
    assert [asking.send().site for _ in range(5)] == ["rented"] * 5


def test_answers_warm_it_and_a_failure_takes_back_what_it_had():
    """Once it is warm a failure is the breaker's."""
    asking = Asking()
    asking.prove()
    asking.up("rented-0", "rented")
    asking.core.on_drain("home", True, asking.now)  # all turns go there, for the test's sake
    for _ in range(LIMITS.warming_answers):
        asking.end(asking.send())
    assert site(asking.core, "rented").warming_share == 2 * LIMITS.warming_share
    asking.end(asking.send(), End.FAILED)
    assert site(asking.core, "rented").warming_share == LIMITS.warming_share
    for _ in range(5 * LIMITS.warming_answers):
        asking.end(asking.send())
    assert site(asking.core, "rented").warming_share == 1.0
    asking.end(asking.send(), End.FAILED)
    assert site(asking.core, "rented").warming_share == 1.0


def test_late_answers_earn_nothing_and_a_lost_connection_takes_back():
    """It may have been the queue; a connection that was lost is the site's or its link's."""
    asking = Asking()
    asking.prove()
    asking.up("rented-0", "rented")
    asking.core.on_drain("home", True, asking.now)
    for _ in range(2 * LIMITS.warming_answers):
        asking.end(asking.send(), ttft_ns=2 * NS_PER_S)
    assert site(asking.core, "rented").warming_share == LIMITS.warming_share
    for _ in range(LIMITS.warming_answers):
        asking.end(asking.send())
    assert site(asking.core, "rented").warming_share == 2 * LIMITS.warming_share
    asking.core.on_connection("rented-0", False, asking.now)
    assert site(asking.core, "rented").warming_share == LIMITS.warming_share


@given(st.lists(st.sampled_from(["else", "here", "well", "badly", "nothing"]), max_size=300))
def test_whatever_comes_a_new_site_never_has_more_than_its_share(events):
    """That is, one turn and the largest share it ever had of those that were decided."""
    turns = TurnCount()
    warming = Warming(dataclasses.replace(LIMITS, warming_share=0.1), turns)
    warming.begin()
    mine = everywhere = 0
    share = warming.share
    for event in events:
        if event == "else":
            turns.sent += 1
            everywhere += 1
        elif event == "here" and warming.allows:
            warming.on_send()
            turns.sent += 1
            mine, everywhere = mine + 1, everywhere + 1
        elif event in {"well", "badly", "nothing"} and warming.open:
            warming.on_end(well={"well": True, "badly": False, "nothing": None}[event])
        share = max(share, warming.share)
        if warming.is_warm:
            return
        assert mine <= 1 + share * everywhere + 1e-9
        assert warming.open >= 0


def test_where_nobody_else_has_room_only_its_turns_at_a_time_are_bounded():
    """To wait beside an idle site would be worse than to try it."""
    asking = Asking()
    asking.prove()
    report = LoadReport("home-0", "1", 1, running=4, waiting=40, running_max=4)
    asking.core.on_load(report, asking.now)
    asking.up("rented-0", "rented")
    first, second = asking.send(), asking.send()
    assert [first.site, second.site] == ["rented", "home"]  # one at a time, and one as a trial
    assert isinstance(asking.ask(), Wait)
    asking.end(first)
    (released,) = asking.core.release(asking.now, asking.rng)
    assert isinstance(released, Send)
    assert released.site == "rented"


def test_in_a_fleet_under_load_a_new_site_begins_with_a_trickle_and_ends_with_its_part():
    """Home is full, so that the new site's share is no bound; what it has at a time is."""
    world = World(fleet(ttft_ms=300, price=FREE))
    world.add("home-0", "home", slots=2)
    world.arrivals("s", 14.0, 60 * NS_PER_S, turns=1, think_ns=0, prompt=100, output=20)
    world.run(10 * NS_PER_S)
    came = world.now
    world.add("rented-0", "rented", slots=8)
    world.run(55 * NS_PER_S)
    after = [turn for turn in world.turns if turn.sent_ns >= came and turn.site]
    first, last = after[:4], after[-60:]
    assert sum(turn.site == "rented" for turn in after) >= 1
    assert sum(turn.site == "rented" for turn in first) <= 2
    assert sum(turn.site == "rented" for turn in last) > 0.1 * len(last)
    assert site(world.core, "rented").warming_share == 1.0
