"""Overload and poison at a live router: who waits, who is refused, and with which status."""

import asyncio

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from router.policy.fleet import Fleet, Limits, SloClass, Tenant
from router.policy.units import NS_PER_MS, NS_PER_S
from tests.router.live.conftest import HOME, address, ask, engine, route
from wire.spillway.v1 import fleet_pb2
from wire.status import DETAILS_KEY


def _fleet(**limits) -> Fleet:
    slo = SloClass("chat", ttft_ns=400 * NS_PER_MS, itl_ns=NS_PER_S)
    tenants = (Tenant("gold", 4), Tenant("bound", tokens_per_minute=60))
    return Fleet((HOME,), (slo,), "chat", Limits(**limits), tenants)


async def _detail(call, kind):
    with pytest.raises(grpc.aio.AioRpcError) as failed:
        async for _ in call:
            pass
    trailers = dict(failed.value.trailing_metadata())
    status = status_pb2.Status.FromString(trailers[DETAILS_KEY])
    detail = kind()
    assert any(one.Unpack(detail) for one in status.details)
    return failed.value, detail


async def test_what_finds_no_room_waits_and_is_served():
    """A burst of five times what the engine runs at once: all are answered, in their turn."""
    async with (
        engine(itl_s=0.005, max_running=2) as server,
        route({"home": [address(server)]}, fleet=_fleet(patience_ns=60 * NS_PER_S)) as routed,
    ):
        await routed.stream(ask())
        answers = [asyncio.create_task(routed.stream(ask(str(number)))) for number in range(10)]
        assert all(await asyncio.gather(*answers))
        (site,) = (await routed.state()).sites
        assert site.open_streams == 0


async def test_standing_overload_is_refused_with_a_time_to_come_back():
    """RESOURCE_EXHAUSTED with RetryInfo; those who wait go when their clients do."""
    async with (
        engine(itl_s=0.5, max_running=1) as server,
        route({"home": [address(server)]}, fleet=_fleet(patience_ns=NS_PER_MS)) as routed,
    ):
        calls = [routed.inference.GenerateStream(ask(max_new_tokens=50)) for _ in range(12)]
        call = routed.inference.GenerateStream(ask("last", max_new_tokens=50))
        error, retry = await _detail(call, error_details_pb2.RetryInfo)
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert retry.retry_delay.ToNanoseconds() >= Limits().retry_after_min_ns
        for one in calls:
            one.cancel()
        tenants = {one.name: one for one in (await routed.state()).tenants}
        assert tenants["default"].refused >= 1
        await routed.state_where(lambda state: not any(one.waiting for one in state.tenants))


async def test_a_tenant_over_its_rate_is_refused_and_others_are_not():
    """The name comes with the call."""
    async with (
        engine(itl_s=0) as server,
        route({"home": [address(server)]}, fleet=_fleet()) as routed,
    ):
        bound = (("x-spillway-tenant", "bound"),)
        await routed.stream(ask(max_new_tokens=50), metadata=bound)
        call = routed.inference.GenerateStream(ask(), metadata=bound)
        error, _ = await _detail(call, error_details_pb2.RetryInfo)
        assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "60 tokens a minute" in error.details()
        gold = (("x-spillway-tenant", "gold"),)
        assert await routed.stream(ask(), metadata=gold)


async def test_a_prompt_that_takes_two_engines_is_kept_away_and_let_in_again(caplog):
    """FAILED_PRECONDITION; the engines' return as new instances says that they had crashed."""
    slow = {"itl_s": 5.0, "prefill_tokens_per_s": 0.5}
    async with engine(**slow) as first, engine(**slow) as second:
        servers = {address(one): one for one in (first, second)}
        ports = {name: one.port for name, one in servers.items()}
        async with route({"home": list(servers)}, fleet=_fleet()) as routed:
            call = routed.inference.GenerateStream(ask("crash now, please"))

            def runs_at(state):
                """Where it runs, of those that live."""
                ends = state.sites[0].endpoints
                return [one.address for one in ends if one.in_flight and one.address in servers]

            for _ in range(2):
                (at,) = runs_at(await routed.state_where(runs_at))
                await servers.pop(at).stop()
            async with engine(port=min(ports.values())), engine(port=max(ports.values())):
                error, info = await _detail(call, error_details_pb2.ErrorInfo)
                assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
                assert info.reason == "QUARANTINED"
                assert "in quarantine" in caplog.text
                (kept,) = (
                    await routed.fleet.ListQuarantine(fleet_pb2.ListQuarantineRequest())
                ).quarantined
                assert kept.fingerprint in error.details()
                assert len(kept.endpoints) == 2
                await routed.until_up(2)
                assert await routed.stream(ask("another prompt"))
                release = fleet_pb2.ReleaseQuarantineRequest(fingerprint=kept.fingerprint)
                await routed.fleet.ReleaseQuarantine(release)
                assert await routed.stream(ask("crash now, please"))
                with pytest.raises(grpc.aio.AioRpcError) as failed:
                    await routed.fleet.ReleaseQuarantine(release)
                assert failed.value.code() is grpc.StatusCode.NOT_FOUND
