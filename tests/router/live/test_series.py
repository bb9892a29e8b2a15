"""Whatever clients call their tenants, sessions and models, a router has as many series."""

from dataclasses import replace

import aiohttp
import grpc

from router.policy.fleet import Tenant
from tests.router.live.conftest import (
    CLOUD,
    HOME,
    SETTINGS,
    address,
    ask,
    at_rest,
    engine,
    fleet_of,
    route,
)

KINDS = ("x-spillway-tenant", "x-spillway-slo", "traceparent", "user-agent", "x-request-id")


def series(routed):
    """Every series that a scrape would show, but the process's own."""
    found = set()
    for family in routed.router._sinks.registry.collect():
        found |= {(one.name, *sorted(one.labels.items())) for one in family.samples}
    return found


async def ended(call):
    """The status that a call ends with."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def flood(routed, first, count):
    """Requests of which each has other names, most of them of nobody and nothing."""
    page = f"http://127.0.0.1:{routed.router.metrics_port}/"
    for number in range(first, first + count):
        name = f"n{number}"
        asked = (
            (ask(session_id=name, request_id=name), ()),
            (ask(model=name), ()),
            *((ask(session_id=name), ((kind, name),)) for kind in KINDS),
        )
        ends = [await ended(routed.stream(request, metadata=names)) for request, names in asked]
        assert grpc.StatusCode.INTERNAL not in ends
        unknown = routed.channel.unary_unary(f"/vllm.Inference/{name}")
        assert await ended(unknown(b"")) is grpc.StatusCode.UNIMPLEMENTED
        async with aiohttp.ClientSession() as http, http.get(f"{page}{name}") as answer:
            assert answer.status == 404


async def test_a_flood_of_names_adds_no_series():
    """Neither of what is served, nor of what is refused; the fleet's own tenants have theirs."""
    settings = replace(SETTINGS, metrics_listen="127.0.0.1:0")
    fleet = replace(fleet_of(HOME, CLOUD), tenants=(Tenant("search"), Tenant("support")))
    async with (
        engine(itl_s=0) as server,
        route({"home": [address(server)]}, settings, fleet) as routed,
    ):
        await flood(routed, 0, 1)  # each way that a call can end has been gone
        await at_rest(routed, server)
        before = series(routed)
        await flood(routed, 1, 40)
        await at_rest(routed, server)
        assert series(routed) == before
        tenants = {value for _, *labels in before for label, value in labels if label == "tenant"}
        assert tenants <= {"search", "support", "default", ""}
