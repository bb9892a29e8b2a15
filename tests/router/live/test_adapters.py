"""LoRA adapters through a live router: over engines that load them in real time."""

import grpc
import pytest

from tests.router.live.conftest import address, ask, engine, route
from tests.router.live.counting import counted_on
from tests.waiting import until
from wire.spillway.v1 import fleet_pb2

HELD = {"itl_s": 0.0, "adapter_load_s": 0.0, "adapters_loaded_max": 2}


def text_of(chunks):
    return "".join(chunk.outputs.text for chunk in chunks)


def last(routed, at):
    """What an endpoint reported last."""
    return next(e for e in routed.router._roster if e.address == at).follower.load.last


async def where(routed, adapter):
    """Where a request for an adapter runs."""
    call = routed.inference.GenerateStream(ask("7", 3, lora_name=adapter))
    assert text_of([chunk async for chunk in call]) == counted_on("7", 3)
    return dict(await call.trailing_metadata())["x-spillway-endpoint"]


async def explained(routed, adapter):
    request = fleet_pb2.ExplainRequest(request=ask(lora_name=adapter))
    return await routed.fleet.Explain(request)


async def test_a_request_goes_where_its_adapter_is_and_stays_where_it_is_loaded():
    """One that one engine has goes there; one that both have stays with the first to load it."""
    async with (
        engine(adapters=["poet", "judge"], **HELD) as first,
        engine(adapters=["poet"], **HELD | {"adapter_load_s": 0.4}) as second,
        route({"home": [address(first), address(second)]}) as routed,
    ):
        assert await where(routed, "judge") == f"home/{address(first)}"
        at = await where(routed, "poet")
        name = at.removeprefix("home/")
        await until(lambda: "poet" in last(routed, name).adapters.loaded)
        assert {await where(routed, "poet") for _ in range(5)} == {at}
        assert "poet" in (await routed.endpoints())[name].adapters_loaded
        decision = await explained(routed, "poet")
        waits = {one.endpoint: one.adapter_s for one in decision.candidates}
        assert waits.pop(at) == 0
        assert all(wait > 0 for wait in waits.values())


async def test_what_nobody_has_is_not_found():
    """By the router, before any engine is asked; and a name is nothing but a name."""
    async with (
        engine(adapters=["poet"], **HELD) as server,
        route({"home": [address(server)]}) as routed,
    ):
        for name in ("none", "../poet", "/etc/passwd"):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await routed.stream(ask(lora_name=name))
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND
            assert f"has the adapter {name!r}" in caught.value.details()
        assert server.replica.engine.load().generated_tokens == 0


async def test_a_router_above_knows_what_routers_below_have():
    """An adapter of one engine is one of the site, loaded where it is loaded at any."""
    async with (
        engine(adapters=["poet"], **HELD) as first,
        engine(adapters=["judge"], **HELD) as second,
        route({"home": [address(first), address(second)]}) as below,
        route({"cloud": [f"127.0.0.1:{below.router.port}"]}) as above,
    ):
        at = f"127.0.0.1:{below.router.port}"
        follower = next(iter(above.router._roster)).follower
        await until(lambda: len(follower.engine.adapters) == 2)
        assert dict(follower.engine.adapters) == {"poet": "fake-poet", "judge": "fake-judge"}
        for name in ("poet", "judge"):
            assert await where(above, name) == f"cloud/{at}"
        await until(lambda: {*last(above, at).adapters.loaded} == {"poet", "judge"})
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await above.stream(ask(lora_name="none"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
