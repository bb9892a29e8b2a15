"""Routers that share a real store: what they spend together, whatever dies or goes away."""

import asyncio
import contextlib
import signal
import time
from dataclasses import dataclass, replace

import grpc
import pytest
from prometheus_client import generate_latest

from router.live.settings import StoreSettings
from router.live.shared_store import SharedStore
from router.live.timed_core import TimedCore
from router.observe.event import StoreHeard
from router.policy.allowance import Bucket
from router.policy.fleet import DEFAULT_TENANT, Fleet, Price, Site, SiteKind, SloClass, Tenant
from router.policy.units import NS_PER_S
from tests.router.live.conftest import HOME, SETTINGS, address, ask, engine, fleet_of, route
from tests.store_server import StoreServer
from tests.waiting import until

USD, TOKENS = "usd/cloud/hour", "tokens/default"
FAST = 3_600.0 * 40  # USD an hour: 30 come in each second, and 36,000 at once
PRICE = Price(metered_usd_per_replica_hour=1.0, budget_usd_per_hour=FAST)


class Nowhere:
    """A sink that keeps the grants."""

    def __init__(self):
        self.heard = []

    def on_event(self, event):
        if isinstance(event.happening, StoreHeard):
            self.heard.append(event.happening)


def shared_fleet(price=PRICE, per_minute=60_000):
    slo = SloClass("chat", ttft_ns=NS_PER_S, itl_ns=NS_PER_S)
    sites = (Site("home", SiteKind.HOME), Site("cloud", SiteKind.RENTED, price=price))
    tenants = (Tenant(DEFAULT_TENANT, tokens_per_minute=per_minute),)
    return Fleet(sites, (slo,), "chat", tenants=tenants, shares=True)


@dataclass
class Spender:
    """A router's core, what it has used, and its conversation with the store."""

    core: TimedCore
    store: SharedStore
    sink: Nowhere
    used: float = 0.0

    def level(self, bucket=USD):
        return dict(self.core.held())[bucket]

    def spend(self, bucket=USD, share=1.0):
        """Uses a share of what it may."""
        amount = max(0.0, self.level(bucket) * share)
        allowances = self.core._core.allowances
        both = {**allowances._money, **allowances._rates}
        both[bucket].use(amount, time.monotonic_ns())
        self.used += amount


@pytest.fixture
def server(tmp_path):
    started = StoreServer(tmp_path)
    started.start()
    yield started
    started.kill()


@contextlib.asynccontextmanager
async def spenders(server, count, fleet=None, **settings):
    """So many routers' cores at one store."""
    found = []
    for number in range(count):
        sink = Nowhere()
        core = TimedCore(fleet or shared_fleet(), f"router-{number}", sink)
        chosen = StoreSettings(server.url, timeout_s=0.3, **settings)
        found.append(Spender(core, SharedStore(core, chosen), sink))
    try:
        yield found
    finally:
        for one in found:
            await one.store._redis.aclose()


def came_in(since_s, bucket):
    """What can have come into a bucket that was empty then."""
    return min(bucket.most, bucket.per_s * (time.monotonic() - since_s))


BUCKET = Bucket(USD, FAST / 4, FAST * 0.75 / 3_600)


async def rounds(found, count, pause_s=0.02, bucket=USD):
    """All ask and spend what they get, so often."""
    for _ in range(count):
        for one in found:
            await one.store.ask()
            one.spend(bucket)
        await asyncio.sleep(pause_s)


async def test_routers_spend_one_budget_together(server):
    """However many they are, no more than has come in; and all of them get some."""
    since_s = time.monotonic()
    async with spenders(server, 3) as found:
        await rounds(found, 15)
        assert all(one.used > 0 for one in found)
        total = sum(one.used for one in found)
        assert 0.5 * came_in(since_s, BUCKET) < total <= came_in(since_s, BUCKET)


async def test_a_store_that_is_away_costs_nothing_and_nobody_waits(server):
    """Money: what is held is spent, then nothing; the next decision is made all the same."""
    since_s = time.monotonic()
    async with spenders(server, 2) as found:
        await rounds(found, 5)
        for one in found:
            await one.store.ask()
        server.kill()
        died_s = time.monotonic()
        for _ in range(5):
            for one in found:
                await one.store.ask()
                before_s = time.monotonic()
                one.spend()
                assert time.monotonic() - before_s < 0.05
        assert [one.level() for one in found] == [0.0, 0.0]
        assert found[0].sink.heard[-1].routers == 0
        total = sum(one.used for one in found)
        assert total <= BUCKET.per_s * (died_s - since_s)


async def test_a_store_that_comes_back_empty_gives_nothing_twice(server):
    """It begins with an empty bucket: whatever it forgot may have been spent."""
    since_s = time.monotonic()
    async with spenders(server, 2) as found:
        await rounds(found, 8)
        server.kill()
        await rounds(found, 2)
        server.start()
        await rounds(found, 8)
        assert found[0].sink.heard[-1].routers == 2
        assert sum(one.used for one in found) <= came_in(since_s, BUCKET)
        assert found[0].used > 0


async def test_what_a_dead_router_held_is_lost_and_never_spent_again(server):
    """Its part is gone with it; the others go on with the rest."""
    since_s = time.monotonic()
    async with spenders(server, 2) as (dies, lives):
        await rounds([dies, lives], 5)
        await asyncio.sleep(0.1)
        await dies.store.ask()
        lost = dies.level()
        assert lost > 0
        before = lives.used
        await rounds([lives], 10)
        assert lives.used > before
        assert dies.used + lost + lives.used <= came_in(since_s, BUCKET)


async def test_a_router_that_stops_gives_back_what_it_held(server):
    """The next one finds it; and it is counted no more."""
    async with spenders(server, 2) as (stops, starts):
        await asyncio.sleep(0.05)
        await stops.store.ask()
        await asyncio.sleep(0.3)
        await stops.store.ask()
        held = stops.level()
        assert held > 1.0
        await stops.store.close()
        assert stops.level() == 0.0
        await starts.store.ask()
        assert starts.level() >= held
        assert starts.sink.heard[-1].routers == 1


async def test_a_store_that_hangs_is_as_one_that_is_away(server):
    """An answer that comes too late was given out, and is not spent."""
    since_s = time.monotonic()
    async with spenders(server, 1) as (one,):
        await rounds([one], 5)
        server.signal(signal.SIGSTOP)
        await rounds([one], 2)
        assert one.sink.heard[-1].routers == 0
        server.signal(signal.SIGCONT)
        await rounds([one], 10)
        assert one.sink.heard[-1].routers == 1
        assert 0 < one.used <= came_in(since_s, BUCKET)


async def test_a_rate_goes_on_without_the_store_by_equal_shares(server):
    """Together the tenant gets its rate; what it got meanwhile is paid when the store is back."""
    bucket = Bucket(TOKENS, 15_000.0, 1_000.0)
    since_s = time.monotonic()
    async with spenders(server, 2) as found:
        await rounds(found, 6, bucket=TOKENS)
        server.kill()
        await rounds(found, 1, bucket=TOKENS)
        assert [one.core._core.allowances.routers for one in found] == [2, 2]
        await rounds(found, 10, bucket=TOKENS)
        away = sum(one.used for one in found)
        assert away <= came_in(since_s, bucket) + 1
        assert away > 0.5 * came_in(since_s, bucket)
        server.start()
        await rounds(found, 10, bucket=TOKENS)
        assert sum(one.used for one in found) <= came_in(since_s, bucket) + 1


async def test_what_was_used_without_the_store_is_paid_when_it_is_back(server):
    """It has filled up meanwhile, and what it then gives out is so much less."""
    bucket = Bucket(TOKENS, 15_000.0, 1_000.0)
    since_s = time.monotonic()
    async with spenders(server, 2) as found:
        await rounds(found, 4, bucket=TOKENS)
        server.signal(signal.SIGSTOP)
        await rounds(found, 4, bucket=TOKENS)
        away = sum(one.used for one in found)
        assert found[0].sink.heard[-1].routers == 0
        server.signal(signal.SIGCONT)
        await rounds(found, 20, bucket=TOKENS)
        total = sum(one.used for one in found)
        assert away < total <= came_in(since_s, bucket) + 1


async def test_a_router_that_never_found_the_store_gives_a_tenant_its_whole_rate(server):
    """It is alone, as far as it can know; money it has none to spend."""
    server.kill()
    async with spenders(server, 1) as (one,):
        await one.store.ask()
        await asyncio.sleep(0.1)
        assert one.level(USD) == 0.0
        assert one.level(TOKENS) >= 0.1 * 1_000.0


async def test_two_routers_refuse_a_tenant_at_one_rate(server):
    """The requests that both let in together use no more tokens than the tenant may have."""
    fleet = fleet_of(Site("home", SiteKind.HOME))
    fleet = replace(fleet, tenants=(Tenant(DEFAULT_TENANT, tokens_per_minute=60_000),))
    settings = replace(SETTINGS, store=StoreSettings(server.url, interval_s=0.05))
    async with (
        engine(itl_s=0) as behind,
        route({"home": [address(behind)]}, settings, fleet) as one,
        route({"home": [address(behind)]}, settings, fleet) as two,
    ):
        since_s, let_in = time.monotonic(), 0
        await until(lambda: one.router._core.held()[0][1] > 0)
        while time.monotonic() - since_s < 0.6:
            for routed in (one, two):
                with contextlib.suppress(Exception):
                    await routed.stream(ask("7" * 100, 100))
                    let_in += 1
                await asyncio.sleep(0.01)
        # A text of 100 bytes is 25 tokens; each router may overdraw its part by one request.
        most = 1_000 * (time.monotonic() - since_s + 1.0) + 2 * 125
        assert 0 < let_in * 125 <= most
        state = await one.state()
        assert (state.store.away, state.store.routers) == (False, 2)
        assert [held.bucket for held in state.store.held] == [TOKENS]
        shown = generate_latest(one.router._sinks.registry).decode()
        assert "spillway_store_away 0.0" in shown
        assert "spillway_store_routers 2.0" in shown
        assert f'spillway_store_held{{bucket="{TOKENS}"}}' in shown


async def test_two_routers_stay_within_a_budget_when_the_store_dies(server):
    """What both really spend, but for what a request in flight took longer than was thought."""
    price = Price(metered_usd_per_replica_hour=3_600.0, budget_usd_per_hour=2_400.0)
    fleet = fleet_of(HOME, Site("cloud", SiteKind.RENTED, price=price))
    settings = replace(SETTINGS, store=StoreSettings(server.url, interval_s=0.05, timeout_s=0.3))
    async with (
        engine(itl_s=0.01) as behind,
        route({"cloud": [address(behind)]}, settings, fleet) as one,
        route({"cloud": [address(behind)]}, settings, fleet) as two,
    ):
        begun_s, longest_s, served = time.monotonic(), 0.0, [0, 0]
        killed = False
        while (passed_s := time.monotonic() - begun_s) < 1.6:
            if passed_s > 0.8 and not killed:
                server.kill()
                killed = True
            for place, routed in enumerate((one, two)):
                asked_s = time.monotonic()
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await routed.stream(ask("7", 5))
                    served[place] += 1
                    longest_s = max(longest_s, time.monotonic() - asked_s)
            await asyncio.sleep(0.01)
        states = [await routed.state() for routed in (one, two)]
        spent = sum(site.cost_usd for state in states for site in state.sites)
        # Half a dollar comes in each second, until the store dies; routers were up a little longer.
        came = 0.5 * (0.8 + 1.5)
        assert all(served)
        assert 0 < spent <= came + 2 * longest_s
        assert all(state.store.away for state in states)
