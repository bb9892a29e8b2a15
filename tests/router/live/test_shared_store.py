"""Routers that share a real store: what they spend together, whatever dies or goes away."""

import asyncio
import contextlib
import signal
import time
from dataclasses import dataclass, replace

import grpc
import pytest
from prometheus_client import generate_latest
from redis import Redis

from router.live.settings import StoreSettings
from router.live.shared_store import SharedStore
from router.live.timed_core import TimedCore
from router.observe.event import StoreHeard
from router.policy.allowance import Bucket
from router.policy.fleet import DEFAULT_TENANT, Fleet, Price, Site, SiteKind, SloClass, Tenant
from router.policy.units import NS_PER_S
from spillway.local.store_server import StoreServer
from tests.router.live.conftest import HOME, SETTINGS, Routed, address, ask, engine, fleet_of, route
from tests.waiting import DEADLINE_S, until

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

    def spend(self, bucket=USD):
        """Uses all that it may."""
        amount = max(0.0, self.level(bucket))
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
        chosen = StoreSettings(server.url, **({"timeout_s": DEADLINE_S} | settings))
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
TENANTS = Bucket(TOKENS, 15_000.0, 1_000.0)


def left_at(server, bucket):
    """What the store had left when it was last asked."""
    with Redis.from_url(server.url) as store:
        return float(store.hget(f"{{spillway}}:{bucket.name}", "level"))


async def rounds(found, count, pause_s=0.02, bucket=USD):
    """All ask and spend what they get, so often."""
    for _ in range(count):
        for one in found:
            await one.store.ask()
            one.spend(bucket)
        await asyncio.sleep(pause_s)


async def rounds_until(found, condition, bucket=USD):
    """All ask and spend what they get, until something is so."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await rounds(found, 1, bucket=bucket)


async def test_routers_spend_one_budget_together(server):
    """However many they are, no more than has come in; and all of them get some."""
    since_s = time.monotonic()
    async with spenders(server, 3) as found:
        await rounds(found, 15)
        assert all(one.used > 0 for one in found)
        assert used_by(found) <= came_in(since_s, BUCKET)
        # And not much less: a round that nothing holds up takes most of what is there.
        async with asyncio.timeout(DEADLINE_S):
            got = 0.0
            while left_at(server, BUCKET) >= got:
                before = used_by(found)
                await rounds(found, 1)
                got = used_by(found) - before


def used_by(found):
    """What they have used together."""
    return sum(one.used for one in found)


async def test_a_store_that_is_away_costs_nothing(server):
    """Money: what is held is spent, then nothing."""
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
                one.spend()
        assert [one.level() for one in found] == [0.0, 0.0]
        assert found[0].sink.heard[-1].routers == 0
        assert used_by(found) <= BUCKET.per_s * (died_s - since_s)


async def test_nobody_waits_for_a_store_that_hangs(server):
    """A top-up is under way and will be for longer than this test lasts; answers come."""
    hangs = StoreSettings(server.url, interval_s=0.05, timeout_s=10 * DEADLINE_S)
    fleet = replace(fleet_of(HOME), tenants=(Tenant(DEFAULT_TENANT, tokens_per_minute=600_000),))
    async with (
        engine(itl_s=0) as behind,
        route({"home": [address(behind)]}, replace(SETTINGS, store=hangs), fleet) as routed,
    ):
        core = routed.router._core
        await until(lambda: dict(core.held())[TOKENS] > 1_000)
        server.signal(signal.SIGSTOP)
        try:
            asked = []
            core.wants = lambda: (asked.append(True), TimedCore.wants(core))[1]
            await until(lambda: asked)
            async with asyncio.timeout(DEADLINE_S):
                assert await routed.stream(ask())
            assert not core.snapshot().shared.away
        finally:
            server.signal(signal.SIGCONT)


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
        assert used_by(found) <= came_in(since_s, BUCKET)
        assert found[0].used > 0


async def test_what_a_dead_router_held_is_lost_and_never_spent_again(server):
    """Its part is gone with it; the others go on with the rest."""
    since_s = time.monotonic()
    async with spenders(server, 2) as (dies, lives):
        await rounds([dies, lives], 5)
        await asked_until(dies, lambda: dies.level() > 0)
        lost = dies.level()
        before = lives.used
        await rounds_until([lives], lambda: lives.used > before)
        assert dies.used + lost + lives.used <= came_in(since_s, BUCKET)


async def asked_until(one, condition):
    """It asks and spends nothing, until something is so."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await one.store.ask()
            await asyncio.sleep(0.02)


async def test_a_router_that_stops_gives_back_what_it_held(server):
    """The next one finds it; and it is counted no more."""
    async with spenders(server, 2) as (stops, starts):
        await asked_until(stops, lambda: stops.level() > 1.0)
        held = stops.level()
        await stops.store.close()
        assert stops.level() == 0.0
        await starts.store.ask()
        assert starts.level() >= held
        assert starts.sink.heard[-1].routers == 1


async def test_a_store_that_hangs_is_as_one_that_is_away(server):
    """An answer that comes too late was given out, and is not spent."""
    since_s = time.monotonic()
    async with spenders(server, 1, timeout_s=0.3) as (one,):
        await rounds_until([one], lambda: one.used > 0)
        server.signal(signal.SIGSTOP)
        await rounds_until([one], lambda: one.sink.heard[-1].routers == 0)
        server.signal(signal.SIGCONT)
        await rounds_until([one], lambda: one.sink.heard[-1].routers == 1)
        await rounds([one], 10)
        assert one.used <= came_in(since_s, BUCKET)


async def test_a_rate_goes_on_without_the_store_by_equal_shares(server):
    """Together the tenant gets its rate; what it got meanwhile is paid when the store is back."""
    since_s = time.monotonic()
    async with spenders(server, 2) as found:
        await rounds(found, 6, bucket=TOKENS)
        server.kill()
        await rounds(found, 1, bucket=TOKENS)
        assert [one.core._core.allowances.routers for one in found] == [2, 2]
        alone_s, before = time.monotonic(), used_by(found)
        await rounds(found, 10, bucket=TOKENS)
        came = came_in(alone_s, TENANTS)  # by the clock that the routers go by
        for one in found:
            one.spend(TOKENS)
        assert used_by(found) - before >= came
        assert used_by(found) <= came_in(since_s, TENANTS) + 1
        server.start()
        await rounds(found, 10, bucket=TOKENS)
        assert used_by(found) <= came_in(since_s, TENANTS) + 1


async def test_what_was_used_without_the_store_is_paid_when_it_is_back(server):
    """It has filled up meanwhile, and what it then gives out is so much less."""
    since_s = time.monotonic()
    async with spenders(server, 2, timeout_s=0.3) as found:
        await rounds(found, 4, bucket=TOKENS)
        server.signal(signal.SIGSTOP)
        await rounds(found, 4, bucket=TOKENS)
        away = used_by(found)
        assert found[0].sink.heard[-1].routers == 0
        server.signal(signal.SIGCONT)
        await rounds_until(found, lambda: used_by(found) > away, bucket=TOKENS)
        await rounds(found, 20, bucket=TOKENS)
        assert used_by(found) <= came_in(since_s, TENANTS) + 1


async def test_a_router_that_never_found_the_store_gives_a_tenant_its_whole_rate(server):
    """It is alone, as far as it can know; money it has none to spend."""
    server.kill()
    async with spenders(server, 1) as (one,):
        await one.store.ask()
        alone_s = time.monotonic()
        await until(lambda: one.level(TOKENS) > 100.0)
        came = came_in(alone_s, TENANTS)  # by the clock that the router goes by
        assert one.level(TOKENS) >= came
        assert one.level(USD) == 0.0


@dataclass
class Asked:
    """What became of the requests to one router."""

    routed: Routed
    served: int = 0
    refused: int = 0
    code: grpc.StatusCode | None = None  # of the last refusal
    longest_s: float = 0.0

    async def ask(self, request):
        begun_s = time.monotonic()
        try:
            await self.routed.stream(request)
        except grpc.aio.AioRpcError as error:
            self.refused += 1
            self.code = error.code()
        else:
            self.served += 1
            self.longest_s = max(self.longest_s, time.monotonic() - begun_s)


async def ask_until(asked, request, condition):
    """Asks one router after the other, again and again, until something is so."""
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            for one in asked:
                await one.ask(request)
            await asyncio.sleep(0.01)


async def test_two_routers_refuse_a_tenant_at_one_rate(server):
    """The requests that both let in together use no more tokens than the tenant may have."""
    fleet = fleet_of(Site("home", SiteKind.HOME))
    fleet = replace(fleet, tenants=(Tenant(DEFAULT_TENANT, tokens_per_minute=6_000),))
    settings = replace(SETTINGS, store=StoreSettings(server.url, interval_s=0.05))
    since_s = time.monotonic()
    async with (
        engine(itl_s=0) as behind,
        route({"home": [address(behind)]}, settings, fleet) as one,
        route({"home": [address(behind)]}, settings, fleet) as two,
    ):
        await until(lambda: one.router._core.held()[0][1] > 0)
        both = [Asked(one), Asked(two)]
        await ask_until(
            both,
            ask("7" * 100, 25),
            lambda: all(asked.refused >= 10 for asked in both) and any(a.served for a in both),
        )
        assert {asked.code for asked in both} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        let_in = sum(asked.served for asked in both)
        # A text of 100 bytes is 25 tokens; each router may overdraw its part by one request.
        bucket = Bucket(TOKENS, 1_500.0, 100.0)
        assert let_in * 50 <= came_in(since_s, bucket) + 2 * 50
        state = await one.state_where(lambda state: state.store.routers == 2)
        assert not state.store.away
        assert [held.bucket for held in state.store.held] == [TOKENS]
        shown = generate_latest(one.router._sinks.registry).decode()
        assert "spillway_store_away 0.0" in shown
        assert "spillway_store_routers 2.0" in shown
        assert f'spillway_store_held{{bucket="{TOKENS}"}}' in shown


async def test_two_routers_stay_within_a_budget_when_the_store_dies(server):
    """What both really spend, but for what a request in flight took longer than was thought."""
    price = Price(metered_usd_per_replica_hour=3_600.0, budget_usd_per_hour=2_400.0)
    fleet = fleet_of(HOME, Site("cloud", SiteKind.RENTED, price=price))
    settings = replace(SETTINGS, store=StoreSettings(server.url, interval_s=0.05))
    since_s = time.monotonic()
    async with (
        engine(itl_s=0.01) as behind,
        route({"cloud": [address(behind)]}, settings, fleet) as one,
        route({"cloud": [address(behind)]}, settings, fleet) as two,
    ):
        both = [Asked(one), Asked(two)]
        await ask_until(both, ask("7", 5), lambda: all(asked.served >= 3 for asked in both))
        server.kill()
        came = 0.5 * (time.monotonic() - since_s)  # half a dollar each second, while it lived
        for routed in (one, two):
            await routed.state_where(lambda state: state.store.away)
        refused = [asked.refused for asked in both]
        await ask_until(  # until what they held is spent
            both,
            ask("7", 5),
            lambda: all(asked.refused >= 10 + n for asked, n in zip(both, refused, strict=True)),
        )
        longest_s = max(asked.longest_s for asked in both)
        states = [await routed.state() for routed in (one, two)]
        spent = sum(site.cost_usd for state in states for site in state.sites)
        assert 0 < spent <= came + 2 * longest_s
        assert all(state.store.away for state in states)
