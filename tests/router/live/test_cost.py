"""What a live router's requests cost, by its ledger."""

import asyncio
import dataclasses

import grpc
import pytest

from router.ledger.database import LedgerError
from router.live.router import Router
from router.live.settings import LedgerSettings
from router.policy.fleet import Fleet, Price, Site, SiteKind, SloClass, Tenant
from router.policy.units import NS_PER_S
from tests.router.live.conftest import (
    CLOUD,
    HOME,
    SETTINGS,
    address,
    ask,
    at_rest,
    engine,
    fleet_of,
    pace,
    route,
)
from tests.router.live.counting import counted_on
from tests.router.live.keyed import ACME, BOLT, bearer, fleet_with, keyed, route_keyed
from tests.router.live.scripted import says, scripted, stays_silent
from tests.router.live.test_callers import failed
from tests.waiting import DEADLINE_S
from wire.spillway.v1 import cost_pb2
from wire.spillway.v1.cost_pb2_grpc import CostStub

PRICED = dataclasses.replace(
    CLOUD, hardware="h100", gpus=8, price=Price(metered_usd_per_replica_hour=3600.0)
)


@pytest.fixture
def kept(tmp_path):
    """Settings of a router that keeps a ledger."""
    ledger = LedgerSettings(tmp_path / "ledger.sqlite", commit_s=0.01)
    return dataclasses.replace(SETTINGS, ledger=ledger)


async def report(routed, by=("site",), metadata=()):
    """What the ledger says now."""
    return await CostStub(routed.channel).Report(cost_pb2.CostRequest(by=by), metadata=metadata)


async def account(routed):
    """The only site's two accounts now."""
    found = await CostStub(routed.channel).Reconcile(cost_pb2.ReconcileRequest())
    return found.sites[0] if found.sites else cost_pb2.SiteAccount()


async def where(condition, asked, *arguments):
    """The first answer for which a condition holds."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            answer = await asked(*arguments)
            if condition(answer):
                return answer
            await asyncio.sleep(0.01)


async def report_where(routed, condition, by=("site",)):
    """The first report for which a condition holds."""
    return await where(condition, report, routed, by)


async def test_a_request_is_in_the_report_with_what_it_took(kept):
    """By site, with the class of its GPUs; a restart goes on with the same ledger."""
    async with engine(itl_s=0.01) as server:
        servers = {"cloud": [address(server)]}
        async with route(servers, kept, fleet_of(HOME, PRICED)) as routed:
            await routed.stream(ask("7", 20))
            await routed.inference.Generate(ask("7", 20))
            said = await report_where(
                routed, lambda r: r.total.attempts == 2, ("site", "hardware", "model", "tenant")
            )
        (line,) = said.lines
        assert list(line.key) == ["cloud", "h100", "fake", "default"]
        sums = line.sums
        assert (sums.requests, sums.output_tokens) == (2, 40)
        assert sums.egress_bytes > 40
        assert sums.committed_gpu_s == 0.0
        assert sums.metered_gpu_s == pytest.approx(8 * sums.metered_usd)  # a dollar a second each
        assert sums.metered_usd > 0.2
        async with route(servers, kept, fleet_of(HOME, PRICED)) as routed:
            assert (await report(routed)).total.attempts == 2
            await routed.stream(ask("7", 20))
            await report_where(routed, lambda r: r.total.attempts == 3)


async def test_a_stream_that_goes_on_elsewhere_is_one_request_of_two_attempts(kept):
    """Each token is accounted where it was made, and none twice."""
    async with engine(itl_s=0.05) as one, engine(itl_s=0) as two:
        servers = {"home": [address(one), address(two)]}
        async with route(servers, kept) as routed:
            pace(two, itl_s=0.05)
            call = routed.inference.GenerateStream(ask("7", 100, session_id="s"))
            stream = aiter(call)
            messages = [await anext(stream) for _ in range(5)]
            running = one if one.replica.in_flight else two
            pace(one, two, itl_s=0)
            await running.stop()
            messages += [message async for message in stream]
            assert "".join(m.outputs.text for m in messages) == counted_on("7", 100)
            said = await report_where(routed, lambda r: r.total.attempts == 2)
            assert said.total.requests == 1
            # A message is taken for a token where a stream breaks off; an engine that is late puts
            # several into one.
            told = sum(message.outputs.num_tokens > 0 for message in messages)
            assert told <= said.total.output_tokens <= 100


async def test_a_hedged_request_is_one_request_of_two_attempts(kept):
    """The one that lost is accounted as well: its site worked for it."""
    slo = SloClass("chat", NS_PER_S, 5 * NS_PER_S, hedge_share=1.0)
    free = Site("cloud", SiteKind.RENTED, price=Price(committed_replicas=1))
    async with scripted(stays_silent) as home, scripted(says("x", "y")) as cloud:
        servers = {"home": [home.address], "cloud": [cloud.address]}
        async with route(servers, kept, fleet=Fleet((HOME, free), (slo,), "chat")) as routed:
            await routed.stream(ask(session_id="s"), timeout=60.0)
            said = await report_where(routed, lambda r: r.total.attempts == 2)
            assert said.total.requests == 1
            assert {line.key[0]: line.sums.output_tokens for line in said.lines} == {
                "home": 0,
                "cloud": 2,
            }


async def test_the_sites_own_counts_are_those_of_the_ledger(kept, monkeypatch):
    """To the token, where nobody else uses the engines, and from the first request on."""
    monkeypatch.setattr("router.ledger.writer._LOOK_S", 0.5)
    async with engine(itl_s=0) as server, route({"home": [address(server)]}, kept) as routed:
        await asyncio.gather(*(routed.stream(ask(str(n) * 40, 17)) for n in range(8)))
        await at_rest(routed, server)
        site = await where(lambda site: site.told_output_tokens == 8 * 17, account, routed)
        assert site.output_tokens == 8 * 17


async def test_a_tenant_is_told_of_itself_alone(kept):
    """And the sites' accounts are for operators."""
    async with (
        engine(itl_s=0) as server,
        route_keyed({"home": [address(server)]}, fleet_with(), kept) as routed,
    ):
        for key, count in ((ACME, 1), (BOLT, 2)):
            for _ in range(count):
                await routed.stream(ask("7", 3), metadata=bearer(key))
        everything = await report_where(routed, lambda r: r.total.attempts == 3, ("tenant",))
        assert [list(line.key) for line in everything.lines] == [["acme"], ["bolt"]]
        own = await report(routed, ("tenant",), bearer(ACME))
        assert [(list(line.key), line.sums.attempts) for line in own.lines] == [(["acme"], 1)]
        reconciling = CostStub(routed.channel).Reconcile(
            cost_pb2.ReconcileRequest(), metadata=bearer(ACME)
        )
        assert (await failed(reconciling)).code() is grpc.StatusCode.PERMISSION_DENIED


async def test_what_cannot_be_answered_says_why():
    """Without a ledger, and with a question that is none."""
    async with engine(itl_s=0) as server, route({"home": [address(server)]}) as routed:
        stub = CostStub(routed.channel)
        error = await failed(stub.Report(cost_pb2.CostRequest()))
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "router.ledger" in error.details()
        error = await failed(stub.Report(cost_pb2.CostRequest(since="yesterday")))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "2026-11-29" in error.details()


async def test_what_no_line_is_told_apart_by_is_refused(kept):
    """By its name."""
    async with engine(itl_s=0) as server, route({"home": [address(server)]}, kept) as routed:
        asked = CostStub(routed.channel).Report(cost_pb2.CostRequest(by=["day", "1; DROP"]))
        error = await failed(asked)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "1; DROP is none of day, tenant, site, model, hardware" in error.details()


async def _stream_on(routed, metadata):
    """Until a stream fails: a dollar a second."""
    while True:
        await routed.stream(ask("7", 20), metadata=metadata)


async def test_a_tenants_budget_stops_what_costs_and_outlives_a_restart(kept):
    """With rented capacity alone there is nowhere to go; the state shows why."""
    tenant = Tenant("acme", budget_usd_per_month=3.0, warn_usd_per_month=0.1)
    fleet = dataclasses.replace(fleet_of(HOME, PRICED), tenants=(tenant,))
    acme = (("x-spillway-tenant", "acme"),)
    async with engine(itl_s=0.02) as server:
        servers = {"cloud": [address(server)]}
        async with route(servers, kept, fleet) as routed:
            spend = asyncio.ensure_future(_stream_on(routed, acme))
            with pytest.raises(grpc.aio.AioRpcError, match="over its tenant's budget"):
                await asyncio.wait_for(spend, DEADLINE_S)
            (budget,) = (await routed.state()).budgets
            assert (budget.tenant, budget.most_usd) == ("acme", 3.0)
            assert budget.spent_usd > 0.1
            await routed.stream(ask("7", 1))
        async with route(servers, kept, fleet) as routed:
            (again,) = (await routed.state()).budgets
            assert again.spent_usd == pytest.approx(budget.spent_usd)
            assert again.month == budget.month


async def test_a_router_does_not_start_without_its_ledger(tmp_path):
    """It says which file it is."""
    path = tmp_path / "ledger.sqlite"
    path.write_text("no ledger " * 500)
    settings = dataclasses.replace(SETTINGS, ledger=LedgerSettings(path))
    with keyed(settings) as with_keys, pytest.raises(LedgerError, match=r"ledger\.sqlite"):
        await Router(fleet_with(), [], with_keys).start()
