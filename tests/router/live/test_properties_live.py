"""P1, P2, P3 and P8 with real engines: what the simulator proves, a router over vLLM shows.

Each test has a router of its own over the replicas of the shared local fleet, where home decodes
two sequences at once. Objectives are set from how fast the engines turn out to be on this machine.
"""

import asyncio
import dataclasses
import time
from dataclasses import dataclass

import pytest

from router.live.settings import DecisionLog
from router.observe.decision_log import read_log
from router.observe.event import ConnectionChanged, OutcomeSeen
from router.policy.decision import Send
from router.policy.fleet import Fleet, Limits, SloClass
from router.policy.outcome import FirstToken
from router.policy.units import NS_PER_S, ns
from spillway.local.relay import Relay
from tests.router.live.conftest import CLOUD, HOME, SETTINGS, ask, route
from tests.waiting import DEADLINE_S
from wire.spillway.v1 import fleet_pb2

pytestmark = pytest.mark.live

LONG_S = 1.2  # that a long answer takes, about
TOKENS = (48, 600)  # of a long answer, at least and at most


@dataclass
class Turned:
    """What a client saw of a turn."""

    site: str
    ttft_s: float
    took_s: float


@dataclass(frozen=True)
class Pace:
    """What one stream alone sees, and a class of requests that home can keep while it has room."""

    ttft_s: float
    gap_s: float

    @property
    def long_tokens(self) -> int:
        """Of an answer that holds its slot for a while."""
        return max(TOKENS[0], min(TOKENS[1], round(LONG_S / self.gap_s)))

    def fleet(self, share: float, **limits) -> Fleet:
        """Objectives that allow a wait of this share of a long answer."""
        ttft_s = 4 * self.ttft_s + share * self.long_tokens * self.gap_s
        chat = SloClass("chat", ns(ttft_s), ns(50 * self.gap_s))
        return Fleet((HOME, CLOUD), (chat,), "chat", Limits(**limits))


async def turn(routed, session, text, tokens):
    """One turn, to its end."""
    begun_s, first_s = time.monotonic(), 0.0
    request = ask(text, tokens, session_id=session)
    request.stopping.ignore_eos = True
    call = routed.inference.GenerateStream(request)
    async for _ in call:
        first_s = first_s or time.monotonic()
    trailers = dict(await call.trailing_metadata())
    assert trailers["x-spillway-attempts"]
    return Turned(trailers["x-spillway-site"], first_s - begun_s, time.monotonic() - begun_s)


@pytest.fixture
def sites(local_fleet):
    """The replicas by the names that this folder's tests give to sites."""
    return {
        "home": local_fleet.sites["home"].replica_addresses(),
        "cloud": local_fleet.sites["rented"].replica_addresses(),
    }


async def pace_of(sites) -> Pace:
    """Measured on home, by a router that has nothing else."""
    wide = SloClass("chat", ns(100.0), ns(100.0))
    async with route({"home": sites["home"]}, SETTINGS, Fleet((HOME,), (wide,), "chat")) as routed:
        await turn(routed, "warm-up", "7", 8)
        seen = [await turn(routed, f"pace-{n}", f"{n}", 24) for n in range(3)]
    middle = sorted(seen, key=lambda one: one.took_s)[1]
    return Pace(middle.ttft_s, (middle.took_s - middle.ttft_s) / 23)


async def learned(routed, pace):
    """A router that has seen how long answers take."""
    return [await turn(routed, f"calm-{n % 3}", f"calm {n}", pace.long_tokens) for n in range(4)]


async def test_p1_p3_calm_stays_home_a_surge_overflows_and_calm_brings_it_back(sites):
    """Three times as many streams as home has slots; their sessions return, and stay."""
    pace = await pace_of(sites)
    fleet = pace.fleet(0.3, spill_back_dwell_ns=NS_PER_S // 2)
    async with route(sites, SETTINGS, fleet) as routed:
        assert {one.site for one in await learned(routed, pace)} == {"home"}
        surge = await asyncio.gather(
            *(turn(routed, f"s{n}", f"surge {n}", pace.long_tokens) for n in range(6))
        )
        away = [n for n, one in enumerate(surge) if one.site == "cloud"]
        assert 2 <= len(away) <= 5
        returned = []
        async with asyncio.timeout(DEADLINE_S):
            while len(returned) < len(away):
                left = set(away) - set(returned)
                turns = {n: await turn(routed, f"s{n}", f"surge {n} on", 4) for n in left}
                returned += [n for n, one in turns.items() if one.site == "home"]
        back = [await turn(routed, f"s{n}", f"surge {n} on and on", 4) for n in away]
        assert {one.site for one in back} == {"home"}


async def test_p2_under_pressure_new_sessions_leave_before_warm_ones(sites):
    """Asked of the same moments: where would each go? Nothing dear leaves where cheap stays."""
    pace = await pace_of(sites)
    async with route(sites, SETTINGS, pace.fleet(0.3)) as routed:
        await learned(routed, pace)
        text = {n: f"{n} " * 200 for n in range(4)}
        for n, words in text.items():
            await turn(routed, f"warm-{n}", words, 2)
        tokens = pace.long_tokens // 2
        done = asyncio.Event()

        async def keep_going(n):
            while not done.is_set():
                await turn(routed, f"warm-{n}", text[n], tokens)

        going = [asyncio.create_task(keep_going(n)) for n in range(3)]
        moments = [await both_would_go(routed, text[3], number) async for number in looks(60)]
        done.set()
        await asyncio.gather(*going)
    only_new, only_warm = moments.count(("home", "cloud")), moments.count(("cloud", "home"))
    assert only_new > 0
    assert only_warm <= 0.1 * only_new


async def looks(count):
    """So many, a moment apart."""
    for number in range(count):
        yield number
        await asyncio.sleep(0.08)


async def both_would_go(routed, warm_text, number):
    """Where a warm session would be sent now, and where one of as long a prompt that is new."""
    warm = would_go(routed, "warm-3", warm_text)
    new = would_go(routed, "", f"x{number:03} " * 80)
    return await warm, await new


async def would_go(routed, session, text):
    """The site that a request would be sent to now."""
    request = ask(text, 16, session_id=session)
    decision = await routed.fleet.Explain(fleet_pb2.ExplainRequest(request=request))
    return decision.site


async def test_p8_a_dead_site_costs_few_requests_and_is_probed_gently(sites, tmp_path):
    """Its link dies under two streams: they go on elsewhere, nothing follows; then it is back."""
    pace = await pace_of(sites)
    path = tmp_path / "decisions.jsonl"
    settings = dataclasses.replace(SETTINGS, decision_log=DecisionLog(path))
    tokens = pace.long_tokens
    async with Relay(sites["home"][0]) as relay:
        ways = {"home": [relay.address], "cloud": sites["cloud"]}
        async with route(ways, settings, pace.fleet(1.0)) as routed:
            await learned(routed, pace)
            under_way = [
                asyncio.create_task(turn(routed, f"s{n}", f"{n}", 2 * tokens)) for n in range(2)
            ]
            await routed.state_where(lambda state: _at(state, "home").in_flight == 2)
            relay.stall()
            relay.reset()
            lost = await asyncio.gather(*under_way)
            during = [await turn(routed, f"t{n}", f"{n}", 4) for n in range(8)]
            relay.resume()
            await routed.state_where(lambda state: _at(state, "home").health != DOWN)
            after = await asyncio.gather(*(turn(routed, f"u{n}", f"{n}", 4) for n in range(6)))
            await routed.router.drain()
    assert {one.site for one in lost} == {"cloud"}
    assert {one.site for one in during} == {"cloud"}
    assert "home" in {one.site for one in after}
    assert sent_home_before_the_first_answer(read_log(path)) == 1


def _is_home_s(outcome):
    return isinstance(outcome, FirstToken) and outcome.endpoint.startswith("home/")


DOWN = fleet_pb2.EndpointState.DOWN


def _at(state, name):
    return next(site for site in state.sites if site.name == name).endpoints[0]


def sent_home_before_the_first_answer(events):
    """Requests sent home after its return and before it had given a first token again."""
    lost = sent = 0
    is_back = False
    for event in events:
        what = event.happening
        if isinstance(what, ConnectionChanged) and what.endpoint.startswith("home/"):
            lost += not what.connected
            is_back = what.connected and lost > 0
        elif is_back and isinstance(what, OutcomeSeen) and _is_home_s(what.outcome):
            return sent
        for decision in (event.decision, *event.released):
            sent += is_back and isinstance(decision, Send) and decision.site == "home"
    raise AssertionError("home gave no first token after its return")
