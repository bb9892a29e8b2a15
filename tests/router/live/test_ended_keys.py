"""Keys that end between a call's admission and the method that asks whose it is."""

import grpc
import pytest

from router.policy.caller import RIGHTS, Right
from tests.router.live.conftest import address, engine
from tests.router.live.keyed import GONE, bearer, route_keyed, to_its_end

SHOWS_NOTHING = {
    "/inference.GRPCInferenceService/ServerMetadata",
    "/vllm.Control/GetServerInfo",
    "/vllm.grpc.engine.VllmEngine/GetLoads",
    "/vllm.grpc.engine.VllmEngine/GetServerInfo",
    "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics",
    "/spillway.v1.Fleet/ListLent",
    "/spillway.v1.Fleet/ListQuarantine",
    "/spillway.v1.Cost/Reconcile",
    "/spillway.v1.Link/Connect",
    "/spillway.v1.Load/Watch",
}
"""What is the same for everybody who was admitted, and asks no second time."""

METHODS = sorted(
    method
    for method, right in RIGHTS.items()
    if right is not Right.OPEN and method not in SHOWS_NOTHING
)


@pytest.mark.parametrize("method", METHODS)
async def test_a_key_that_ends_meanwhile_is_answered_as_any_that_has_ended(method, monkeypatch):
    """In words, by every method: an UNKNOWN would say that the router is broken."""

    async def admitted(_metadata, _method):
        pass

    async with engine(itl_s=0) as server, route_keyed({"home": [address(server)]}) as routed:
        monkeypatch.setattr(routed.router._callers, "admit", admitted)
        call = routed.channel.stream_stream(method)(iter([b""]), metadata=bearer(GONE), timeout=30)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await to_its_end(call)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert refused.value.details() == "these credentials are no longer valid"
