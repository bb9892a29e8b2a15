"""Explain, Watch, Drain and Undrain."""

import time

import grpc
import pytest

from tests.router.live.conftest import address, ask, engine, route
from tests.router.live.scripted import hangs, says, scripted
from tests.waiting import until
from wire.spillway.v1 import fleet_pb2


async def test_explain_says_what_would_happen_and_changes_nothing():
    """Every candidate with its parts, the rule and a sentence."""
    async with engine(itl_s=0) as home, engine(itl_s=0) as cloud:
        servers = {"home": [address(home)], "cloud": [address(cloud)]}
        async with route(servers) as routed:
            request = fleet_pb2.ExplainRequest(request=ask("x" * 400, session_id="s"))
            before = await routed.state()
            metadata = (("x-spillway-slo", "batch"),)
            decision = await routed.fleet.Explain(request, metadata=metadata)
            assert decision.action == fleet_pb2.Decision.SEND
            assert (decision.site, decision.endpoint) == ("home", f"home/{address(home)}")
            assert (decision.session, decision.slo, decision.rule) == ("s", "batch", "home")
            assert decision.reason
            by_site = {candidate.site: candidate for candidate in decision.candidates}
            assert by_site["home"].uncached_tokens == 100
            assert by_site["cloud"].price_usd > 0
            assert by_site["home"].ttft_s >= by_site["home"].network_s > 0
            after = await routed.state()
            assert after.sessions == before.sessions == 0
            assert sum(site.turns for site in after.sites) == 0


async def test_explain_of_what_is_refused(one):
    decision = await one.fleet.Explain(fleet_pb2.ExplainRequest(request=ask(model="other")))
    assert decision.action == fleet_pb2.Decision.REFUSE
    assert decision.rule == "unknown_model"


async def test_watch_counts_what_a_site_did():
    """Turns, tokens, sessions and recent latency of each site."""
    async with engine(itl_s=0.001) as server, route({"home": [address(server)]}) as routed:
        begun_s = time.monotonic()
        for number in range(5):
            await routed.stream(ask("7", 20, session_id=f"s{number}"))
        site = (await routed.state_where(lambda state: state.sites[0].turns == 5)).sites[0]
        assert site.kind == fleet_pb2.SiteState.HOME
        assert (site.tokens, site.sessions, site.failures) == (100, 5, 0)
        # In seconds: none can have waited longer than the test, give or take a quantile's grain.
        lasts_s = time.monotonic() - begun_s
        assert 0 < site.ttft_s_p50 <= site.ttft_s_p99 < 1.1 * lasts_s
        assert 0 < site.itl_s_p50 < 1.1 * lasts_s / 20
        state = await routed.state_where(
            lambda state: state.sites[0].endpoints[0].generated_tokens == 100
        )
        assert state.sites[0].prefix_query_tokens == 5


async def test_an_endpoint_that_never_answered_is_shown_as_down():
    """Whoever listed it by hand finds it beside the one that serves."""
    async with engine(itl_s=0) as server:
        nobody = "127.0.0.1:9"
        async with route({"home": [address(server), nobody]}, wait_for=1) as routed:
            site = (await routed.state()).sites[0]
            health = {one.address: one.health for one in site.endpoints}
            up, down = fleet_pb2.EndpointState.UP, fleet_pb2.EndpointState.DOWN
            assert health == {address(server): up, nobody: down}


async def test_a_drained_site_finishes_and_gets_no_more():
    """Until it is undrained."""
    async with scripted(hangs) as home, scripted(says("x")) as cloud:
        servers = {"home": [home.address], "cloud": [cloud.address]}
        async with route(servers) as routed:
            running = routed.inference.GenerateStream(ask(session_id="s"))
            await running.read()
            answer = await routed.fleet.Drain(fleet_pb2.DrainRequest(site="home"))
            assert answer.open_streams == 1
            assert (await routed.state()).sites[0].draining
            assert len(await routed.stream(ask(session_id="s"))) == 1
            assert len(home.calls) == 1
            running.cancel()
            await until(lambda: home.open == 0)
            await routed.fleet.Undrain(fleet_pb2.UndrainRequest(site="home"))
            again = routed.inference.GenerateStream(ask(session_id="new"))
            await again.read()
            assert len(home.calls) == 2
            again.cancel()


async def test_an_unknown_site_is_not_found(one):
    for call in (
        one.fleet.Drain(fleet_pb2.DrainRequest(site="moon")),
        one.fleet.Undrain(fleet_pb2.UndrainRequest(site="moon")),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        assert "home, cloud" in caught.value.details()
