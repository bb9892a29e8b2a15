"""Which sessions a router says it has, and to whom."""

import grpc
import pytest

from router.live.session_view import LIMIT_MAX
from tests.router.live.conftest import CLOUD, HOME, address, ask, engine, fleet_of, route
from tests.router.live.keyed import ACME, BOLT, OPS, bearer, route_keyed
from tests.router.live.scripted import drained
from wire.spillway.v1 import fleet_pb2 as pb


async def listed(routed, key=None, **asked):
    """What a router answers."""
    metadata = bearer(key) if key else ()
    return await routed.fleet.ListSessions(pb.ListSessionsRequest(**asked), metadata=metadata)


async def test_sessions_are_listed_the_most_recently_used_first():
    """With where they are, their turns and their tokens; what has no session is in none."""
    async with engine(itl_s=0) as server, route({"home": [address(server)]}) as routed:
        for session in ("a", "b", "a", ""):
            await routed.stream(ask("7", 5, session_id=session))
        found = await listed(routed)
        assert [one.session for one in found.sessions] == ["a", "b"]
        first = found.sessions[0]
        assert (first.site, first.endpoint) == ("home", f"home/{address(server)}")
        assert (first.turns, first.moves, first.output_tokens) == (2, 0, 10)
        assert first.cached_tokens > 5
        assert not first.overflow
        assert 0 <= first.idle_s < 60
        assert (found.more, found.total, found.router_id) == (False, 2, routed.router.id)
        found = await listed(routed, limit=1)
        assert [one.session for one in found.sessions] == ["a"]
        assert found.more


async def test_a_session_that_went_elsewhere_has_moved():
    """And is no longer at home."""
    async with engine(itl_s=0.02) as home, engine(itl_s=0) as cloud:
        servers = {"home": [address(home)], "cloud": [address(cloud)]}
        async with route(servers, fleet=fleet_of(HOME, CLOUD)) as routed:
            call = routed.inference.GenerateStream(ask("7", 500, session_id="s"))
            await call.read()
            (before,) = (await listed(routed)).sessions
            await home.stop()
            assert [message async for message in drained(call)]
            (after,) = (await listed(routed)).sessions
        assert (before.site, before.overflow, before.moves) == ("home", False, 0)
        assert (after.site, after.overflow, after.moves, after.turns) == ("cloud", True, 1, 2)


async def test_a_site_or_a_tenant_may_be_asked_for():
    """A site that is none is said to be none."""
    async with engine(itl_s=0) as server, route({"home": [address(server)]}) as routed:
        for tenant in ("acme", "bolt"):
            await routed.stream(ask(session_id="s"), metadata=(("x-spillway-tenant", tenant),))
        assert {one.tenant for one in (await listed(routed)).sessions} == {"acme", "bolt"}
        (one,) = (await listed(routed, tenant="acme")).sessions
        assert (one.session, one.tenant) == ("s", "acme")
        assert len((await listed(routed, site="home")).sessions) == 2
        assert not (await listed(routed, site="cloud")).sessions
        for asked, code in (
            ({"site": "nowhere"}, grpc.StatusCode.NOT_FOUND),
            ({"limit": LIMIT_MAX + 1}, grpc.StatusCode.INVALID_ARGUMENT),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await listed(routed, **asked)
            assert refused.value.code() is code


async def test_a_tenant_sees_its_own_and_an_operator_all():
    """How many others there are is none of a tenant's business."""
    async with engine(itl_s=0) as server, route_keyed({"home": [address(server)]}) as routed:
        for key in (ACME, BOLT):
            await routed.stream(ask(session_id="s"), metadata=bearer(key))
        found = await listed(routed, OPS)
        assert {one.tenant for one in found.sessions} == {"acme", "bolt"}
        assert found.total == 2
        found = await listed(routed, ACME)
        assert [one.tenant for one in found.sessions] == ["acme"]
        assert (found.total, found.more) == (0, False)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await listed(routed, ACME, tenant="bolt")
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
