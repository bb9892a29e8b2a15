"""Tenants' terms over the wire: quotas, what may be asked for, and what is theirs to see."""

import asyncio
import dataclasses
import time

import aiohttp
import grpc
import pytest
from google.rpc.error_details_pb2 import QuotaFailure, RetryInfo

from router.live.settings import StoreSettings
from router.policy.fleet import Tenant
from spillway.local.store_server import StoreServer
from tests.router.live.conftest import SETTINGS, address, ask, engine
from tests.router.live.counting import counts
from tests.router.live.keyed import ACME, BOLT, OPS, bearer, fleet_with, route_keyed
from tests.router.live.scripted import message, scripted
from tests.router.live.test_callers import failed
from tests.waiting import until
from wire.kserve import inference_pb2 as kserve
from wire.kserve.inference_pb2_grpc import GRPCInferenceServiceStub
from wire.spillway.v1 import fleet_pb2, tokenizer_pb2, tokenizer_pb2_grpc
from wire.status import details_of, reason_of
from wire.vllm import control_pb2

WITH_OPENAI = dataclasses.replace(SETTINGS, openai_listen="127.0.0.1:0")
WITH_METRICS = dataclasses.replace(SETTINGS, metrics_listen="127.0.0.1:0")
ASKED = {"model": "fake", "prompt": "7", "max_tokens": 3}


async def test_over_quota_is_told_what_and_when():
    """With details that programs read; the other tenant goes on."""
    fleet = fleet_with(Tenant("acme", requests_per_minute=1))
    async with (
        scripted(counts()) as server,
        route_keyed({"home": [server.address]}, fleet) as routed,
    ):
        await routed.stream(ask("7", 3), metadata=bearer(ACME))
        error = await failed(routed.inference.GenerateStream(ask("7", 3), metadata=bearer(ACME)))
        await routed.stream(ask("7", 3), metadata=bearer(BOLT))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.details() == "tenant acme has used its 1 requests a minute"
    (quota,) = details_of(error.trailing_metadata(), QuotaFailure)
    assert quota.violations[0].subject == "requests_per_minute"
    (retry,) = details_of(error.trailing_metadata(), RetryInfo)
    assert 0 < retry.retry_delay.seconds <= 60


async def test_over_quota_is_429_with_retry_after():
    """As HTTP says it."""
    fleet = fleet_with(Tenant("acme", requests_per_minute=1))
    async with (
        scripted(counts()) as server,
        route_keyed({"home": [server.address]}, fleet, WITH_OPENAI) as routed,
        aiohttp.ClientSession(headers=bearer(ACME)) as http,
    ):
        url = f"http://127.0.0.1:{routed.router.openai_port}/v1/completions"
        async with http.post(url, json=ASKED) as response:
            assert response.status == 200
        async with http.post(url, json=ASKED) as response:
            assert response.status == 429
            assert 0 < int(response.headers["Retry-After"]) <= 60
            assert "requests a minute" in (await response.json())["error"]["message"]


async def test_streams_are_counted_until_they_end():
    """However they end; a tenant without the bound is counted, and not held to any."""
    fleet = fleet_with(Tenant("acme", streams_max=1))
    async with (
        engine(itl_s=30.0) as server,
        route_keyed({"home": [address(server)]}, fleet) as routed,
    ):
        first = routed.inference.GenerateStream(ask("7", 3), metadata=bearer(ACME))
        await until(lambda: server.replica.in_flight == 1)
        error = await failed(routed.inference.GenerateStream(ask("7", 3), metadata=bearer(ACME)))
        assert error.details() == "tenant acme has its 1 streams at a time"
        assert details_of(error.trailing_metadata(), RetryInfo)
        others = [
            routed.inference.GenerateStream(ask("7", 3), metadata=bearer(BOLT)) for _ in range(2)
        ]
        await until(lambda: server.replica.in_flight == 3)
        first.cancel()
        await until(lambda: len(routed.router._inference._streams) == 2)
        again = routed.inference.GenerateStream(ask("7", 3), metadata=bearer(ACME))
        await until(lambda: server.replica.in_flight == 3)
        for call in (again, *others):
            call.cancel()


async def test_a_model_that_is_not_the_tenants_is_as_if_it_were_not_there():
    """Nobody lists it to the tenant, and asking for it says nothing of whether it is served."""
    fleet = fleet_with(Tenant("acme", models=("other",)))
    async with (
        scripted(counts()) as server,
        scripted(counts(), names=("other",)) as other,
        route_keyed(
            {"home": [server.address], "cloud": [other.address]}, fleet, WITH_OPENAI
        ) as routed,
        grpc.aio.insecure_channel(f"127.0.0.1:{routed.router.port}") as channel,
        aiohttp.ClientSession(
            f"http://127.0.0.1:{routed.router.openai_port}", headers=bearer(ACME)
        ) as http,
    ):
        said = set()
        for name in ("fake", "none"):
            request = ask("7", 3)
            request.model = name
            error = await failed(routed.inference.Generate(request, metadata=bearer(ACME)))
            assert error.code() is grpc.StatusCode.PERMISSION_DENIED
            assert reason_of(error.trailing_metadata()) == "NOT_ENTITLED"
            said.add(error.details().replace(name, ""))
            tokenizer = tokenizer_pb2_grpc.TokenizerStub(channel).ReadTokenizer(
                tokenizer_pb2.ReadTokenizerRequest(model=name), metadata=bearer(ACME)
            )
            said.add((await failed(tokenizer)).details())
            chat = {"model": name, "messages": [{"role": "user", "content": "7"}]}
            for path, body in (
                ("completions", {**ASKED, "model": name}),
                ("chat/completions", chat),
            ):
                async with http.post(f"/v1/{path}", json=body) as response:
                    assert response.status == 403
                    said.add((await response.json())["error"]["message"].replace(name, ""))
        assert len(said) == 3
        async with http.get("/v1/models") as response:
            assert [one["id"] for one in (await response.json())["data"]] == ["other"]
        index = await GRPCInferenceServiceStub(channel).RepositoryIndex(
            kserve.RepositoryIndexRequest(), metadata=bearer(ACME)
        )
        assert [one.name for one in index.models] == ["other"]
        info = await routed.control.GetModelInfo(
            control_pb2.GetModelInfoRequest(), metadata=bearer(ACME)
        )
        assert (info.served_model_name, list(info.served_model_aliases)) == ("other", [])
        await failed(routed.stream(ask("7", 3), metadata=bearer(ACME)))
    assert not server.calls


async def test_a_tenant_sees_itself_and_no_other():
    """In the fleet's state, in an explanation and in the metrics."""
    async with (
        scripted(counts()) as server,
        route_keyed({"home": [server.address]}, settings=WITH_METRICS) as routed,
    ):
        for key in (ACME, BOLT):
            await routed.stream(ask("7", 3), metadata=bearer(key))
        state = await routed.fleet.Watch(
            fleet_pb2.WatchFleetRequest(), metadata=bearer(ACME)
        ).read()
        assert [one.name for one in state.tenants] == ["acme"]
        assert (state.sessions, state.open_streams, state.sites[0].turns) == (0, 0, 0)
        assert state.sites[0].endpoints[0].model == "fake"
        assert {one.name for one in (await routed.state()).tenants} > {"acme", "bolt"}
        explained = await routed.fleet.Explain(
            fleet_pb2.ExplainRequest(request=ask("7", 3)), metadata=bearer(ACME)
        )
        assert explained.endpoint
        assert "bolt" not in str(explained)
        url = f"http://127.0.0.1:{routed.router.metrics_port}/metrics"
        async with aiohttp.ClientSession() as http:
            async with http.get(url) as response:
                assert response.status == 401
            async with http.get(url, headers=bearer(ACME)) as response:
                own = await response.text()
            async with http.get(url, headers=bearer(OPS)) as response:
                everything = await response.text()
    assert 'spillway_tenant_attempts_total{tenant="acme"} 1.0' in own
    assert "bolt" not in own
    assert "site=" not in own
    assert 'spillway_tenant_attempts_total{tenant="bolt"} 1.0' in everything


async def test_another_tenants_cookie_and_resume_token_are_of_no_use(monkeypatch):
    """A stolen cookie places nothing, and a stolen token is another request's."""
    monkeypatch.setenv("SPILLWAY_LEASE_KEYS", "k" * 32)
    async with (
        scripted(counts(breaks_after=2)) as server,
        route_keyed(
            {"home": [server.address]},
            fleet_with(Tenant("acme", shares_cache=True), Tenant("bolt", shares_cache=True)),
        ) as routed,
    ):
        request = ask("7", 30)
        request.session_id = "s"
        call = routed.inference.GenerateStream(request, metadata=bearer(ACME))
        with pytest.raises(grpc.aio.AioRpcError) as broke:
            async for _ in call:
                pass
        token = dict(broke.value.trailing_metadata())["x-spillway-resume-token"]
        shown = (("x-spillway-resume-token", token),)
        error = await failed(
            routed.inference.GenerateStream(request, metadata=(*shown, *bearer(BOLT)))
        )
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "another request" in error.details()


async def test_routers_that_share_let_in_no_more_together_than_the_quota(tmp_path):
    """They race for it through a store; each may overdraw its part by one request."""
    store = StoreServer(tmp_path)
    store.start()
    per_s, began_s = 8, time.monotonic()
    fleet = fleet_with(Tenant("acme", requests_per_minute=60 * per_s))
    settings = dataclasses.replace(SETTINGS, store=StoreSettings(store.url, interval_s=0.05))
    came, codes = [0, 0], set()

    async def press(place, routed):
        while min(came) < 3 or sum(came) < 30:
            try:
                await routed.inference.Generate(ask("7", 1), metadata=bearer(ACME))
                came[place] += 1
            except grpc.aio.AioRpcError as error:
                codes.add(error.code())

    async def whole(_raw, _context):
        return message("8", 1)

    try:
        async with (
            scripted(whole) as server,
            route_keyed({"home": [server.address]}, fleet, settings) as one,
            route_keyed({"home": [server.address]}, fleet, settings) as other,
        ):
            await asyncio.gather(*(press(place, one) for place in (0, 0)), press(1, other))
            allowed = (time.monotonic() - began_s) * per_s
    finally:
        store.kill()
    assert sum(came) <= allowed + 2
    assert codes == {grpc.StatusCode.RESOURCE_EXHAUSTED}
