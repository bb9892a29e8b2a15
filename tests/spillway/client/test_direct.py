"""Direct mode: streams from the endpoint itself, with a real router, engines and client."""

import asyncio
from dataclasses import replace

import grpc
import pytest

from router.live.settings import DecisionLog
from router.observe.decision_log import read_log
from router.observe.replay import replay
from serving.lease_door import LeaseTerms
from spillway.client import Client, DeadlineError, NotFoundError
from tests.router.live.conftest import (
    CLOUD,
    HOME,
    SETTINGS,
    address,
    ask,
    at_rest,
    fleet_of,
    pace,
    route,
)
from tests.router.live.counting import counted_on
from tests.router.live.scripted import drained
from tests.spillway.client.direct_sites import client_of, engine, taking_leases, two_sites
from tests.waiting import until
from wire.lease_keys import KEYS_ENV
from wire.spillway.v1 import fleet_pb2 as pb
from wire.spillway.v1.lease import LEASE_KEY
from wire.vllm import inference_pb2_grpc

pytestmark = pytest.mark.usefixtures("keys", "patient")


def core_of(routed):
    """The router's own view."""
    return routed.router._core.snapshot()


async def test_a_stream_comes_from_the_endpoint_and_the_router_knows_of_it():
    """Its bytes pass the router by; what it was is in the router's accounts all the same."""
    async with engine(itl_s=0.002) as one, taking_leases({"home": [address(one)]}) as r:
        async with client_of(r) as client:
            answer = await client.generate("41", max_new_tokens=60, session="s")
            assert answer.text == counted_on("41", 60)
            assert (answer.ending.site, answer.ending.resumed) == ("home", 0)
            assert r.router._inference.open_calls == 0
            await at_rest(r)
        snapshot = core_of(r)
        assert snapshot.leases.placed == 1
        assert (snapshot.sites[0].output_tokens, snapshot.sites[0].sessions) == (60, 1)
        assert r.router._inference._count == 0
        await until(lambda: core_of(r).leases.disputed == 0)


async def test_each_turn_asks_again_and_is_told_where_the_session_is_now():
    """A drained site gets no further turn, however good its last lease still is."""
    async with two_sites(itl_s=0.002) as (_one, _two, r), client_of(r) as client:
        first = await client.generate("1", session="s")
        await client.drain(first.ending.site)
        second = await client.generate("1", session="s")
        assert {first.ending.site, second.ending.site} == {"home", "cloud"}
        assert core_of(r).leases.placed == 2


async def test_a_session_stays_where_its_cache_is_whichever_router_places_its_next_turn():
    """The placement has the session's cookie, and the client takes it to the next router."""
    async with (
        two_sites(itl_s=0.002) as (one, two, r),
        taking_leases({"home": [address(one)], "cloud": [address(two)]}) as q,
    ):
        both = [f"127.0.0.1:{x.router.port}" for x in (r, q)]
        await r.fleet.Drain(pb.DrainRequest(site="home"))
        async with Client(both, direct=True) as client:
            first = await client.generate("1", session="s")
            await r.router.stop(0.0)
            second = await client.generate("1", session="s")
            third = await client.generate("1", session="s")
        assert {one.ending.site for one in (first, second, third)} == {"cloud"}
        assert core_of(q).leases.placed == 1  # the second found its router gone, and went through


async def test_an_endpoint_that_dies_in_the_middle_costs_no_token():
    """The client comes back to the router with what it has, and gets the rest from another."""
    async with two_sites(itl_s=0.05) as (one, two, r), client_of(r) as client:
        pace(two, itl_s=0)
        stream = client.stream("41", max_new_tokens=150)
        text = ""
        async for chunk in stream:
            text += chunk.text
            if len(text) > 5 and one.replica.in_flight:
                one.replica.engine.die()
        assert text == counted_on("41", 150)
        assert stream.ending.resumed == 1
        await at_rest(r)
        assert core_of(r).sites[0].failures == 1


async def test_a_stream_at_a_site_that_drains_moves_when_the_time_for_it_is_over():
    """The router ends it there, and the client has the rest from elsewhere."""
    moving = replace(SETTINGS, drain_timeout_s=0.3)
    async with (
        engine(itl_s=0.05) as one,
        engine(itl_s=0) as two,
        taking_leases({"home": [address(one)], "cloud": [address(two)]}, settings=moving) as r,
        client_of(r) as client,
    ):
        text, stream = "", client.stream("41", max_new_tokens=300)
        async for chunk in stream:
            if not text:
                await client.drain("home")
            text += chunk.text
        assert text == counted_on("41", 300)
        assert stream.ending.resumed == 1
        await at_rest(r)


async def test_a_connection_that_is_cut_in_the_middle_costs_no_token():
    """The endpoint's server stops at once: the connection is reset under the stream."""
    async with two_sites(itl_s=0.05) as (one, two, r), client_of(r) as client:
        pace(two, itl_s=0)
        text, stream = "", client.stream("41", max_new_tokens=150)
        async for chunk in stream:
            text += chunk.text
            if len(text) > 5 and one.replica.in_flight:
                await one._server.stop(None)
        assert text == counted_on("41", 150)
        assert stream.ending.site == "cloud"


async def test_the_stream_goes_on_when_the_router_dies():
    """Nothing of it passes there."""
    async with (
        engine(itl_s=0.005) as one,
        taking_leases({"home": [address(one)]}) as r,
        client_of(r) as client,
    ):
        text, stream = "", client.stream("41", max_new_tokens=150)
        async for chunk in stream:
            text += chunk.text
            if len(text) > 20 and not r.router._closing.begun:
                await r.router.stop(0.0)
        assert text == counted_on("41", 150)
        assert stream.ending.resumed == 0


async def test_an_endpoint_that_cannot_be_reached_from_here_is_gone_to_through_the_router():
    """And is not tried again by itself for a while; the lease is given back at once."""
    async with engine(itl_s=0.002) as one, taking_leases({"home": [address(one)]}) as r:
        endpoint = next(iter(r.router._roster))
        endpoint.address = "127.0.0.1:1"
        async with client_of(r) as client:
            for _ in range(5):
                answer = await client.generate("41", max_new_tokens=20)
                assert answer.text == counted_on("41", 20)
            await at_rest(r)
        leases = core_of(r).leases
        assert (leases.placed, leases.lapsed) == (3, 0)  # then it asks no more


async def test_without_a_key_everything_goes_through_the_router(monkeypatch):
    """The router says so, and the client sees no difference."""
    monkeypatch.delenv(KEYS_ENV)
    async with engine(terms=LeaseTerms()) as one, route({"home": [address(one)]}) as r:
        placement = await r.fleet.Place(pb.PlaceRequest(request=ask()))
        assert (placement.address, bool(placement.through_router)) == ("", True)
        async with client_of(r) as client:
            assert (await client.generate("41", max_new_tokens=20)).text == counted_on("41", 20)


async def test_a_client_that_vanishes_leaves_nothing_behind(monkeypatch):
    """Before it uses its lease, or in the middle of its answer."""
    monkeypatch.setattr("router.policy.leases._GRACE_NS", 300_000_000)
    fleet = fleet_of(HOME, CLOUD, lease_life_ns=2_000_000_000)
    async with (
        engine(itl_s=0.01) as one,
        taking_leases({"home": [address(one)]}, fleet=fleet) as r,
        client_of(r) as client,
    ):
        await r.fleet.Place(pb.PlaceRequest(request=ask()))
        await anext(client.stream("41", max_new_tokens=10_000))
        for channel in client._direct._channels.close():
            await channel.close()
        await until(lambda: one.replica.in_flight == 0)
        await at_rest(r)
        assert core_of(r).leases.lapsed == 1


async def test_a_client_that_lies_changes_nothing_but_its_own_lot():
    """It claims a failure of what goes on, millions of tokens, and what it was never given."""
    async with engine(itl_s=0.03) as one, taking_leases({"home": [address(one)]}) as r:
        request = ask("41", 100)
        placement = await r.fleet.Place(pb.PlaceRequest(request=request))
        request.request_id = placement.request_id
        async with grpc.aio.insecure_channel(placement.address) as channel:
            call = inference_pb2_grpc.InferenceStub(channel).GenerateStream(
                request, metadata=((LEASE_KEY, placement.lease),)
            )
            await call.read()
            await until(lambda: core_of(r).sites[0].endpoints[0].running == 1)
            ends = (pb.LeaseClaim.UNREACHABLE, pb.LeaseClaim.BROKE_OFF, pb.LeaseClaim.COMPLETE)
            claims = [
                pb.LeaseClaim(lease=lease, end=end, output_tokens=9_999_999, messages=7)
                for end in ends
                for lease in (placement.lease, placement.lease[:-8], "", "x" * 9_000)
            ]
            await r.fleet.Report(pb.ReportRequest(claims=claims))
            snapshot = core_of(r)
            assert (snapshot.open_streams, snapshot.sites[0].failures) == (1, 0)
            assert [m async for m in drained(call)]
        await at_rest(r)
        snapshot = core_of(r)
        assert snapshot.sites[0].output_tokens == 100
        assert (snapshot.leases.disputed, snapshot.sites[0].failures) == (1, 0)


async def test_a_replayed_lease_is_charged_and_comes_to_an_end():
    """Again and again, one after the other: each is told by the endpoint."""
    async with engine(itl_s=0.002) as one, taking_leases({"home": [address(one)]}) as r:
        request = ask("41", 30)
        placement = await r.fleet.Place(pb.PlaceRequest(request=request))
        request.request_id = placement.request_id
        async with grpc.aio.insecure_channel(placement.address) as channel:
            stub = inference_pb2_grpc.InferenceStub(channel)
            for _ in range(3):
                metadata = ((LEASE_KEY, placement.lease),)
                assert [m async for m in stub.GenerateStream(request, metadata=metadata)]
        await until(lambda: core_of(r).sites[0].output_tokens == 90)
        await at_rest(r)
        assert core_of(r).leases.used_again == 2


async def test_an_endpoint_that_is_full_is_overflowed_through_the_router():
    """It refuses, and the client comes back at once."""
    async with (
        engine(requests_max=1, itl_s=0.01) as one,
        engine() as two,
        taking_leases({"home": [address(one)], "cloud": [address(two)]}) as r,
        grpc.aio.insecure_channel(address(one)) as channel,
        client_of(r) as client,
    ):
        endpoint = next(e for e in r.router._roster if e.site == "home")
        stub = inference_pb2_grpc.InferenceStub(channel)
        blocking = stub.GenerateStream(ask("1", 5_000), metadata=endpoint._pass())
        await blocking.read()
        answer = await client.generate("41", max_new_tokens=20)
        assert answer.text == counted_on("41", 20)
        assert answer.ending.site == "cloud"
        blocking.cancel()
        await at_rest(r)


async def test_what_the_request_itself_is_refused_for_is_the_clients_error():
    """Nothing is tried elsewhere for an unknown model or a deadline."""
    async with engine(itl_s=0.05) as one, taking_leases({"home": [address(one)]}) as r:
        async with client_of(r) as client:
            with pytest.raises(NotFoundError):
                await client.generate("41", model="no-such")
            with pytest.raises(DeadlineError):
                await client.generate("41", max_new_tokens=1_000, deadline_s=0.4)
        await at_rest(r)


async def test_proxied_requests_go_where_leases_are_required():
    """The router has a pass."""
    async with engine() as one, route({"home": [address(one)]}) as r:
        assert await r.stream(ask("41", 20))
        answer = await r.inference.Generate(ask("41", 20))
        assert answer.outputs.text == counted_on("41", 20)


async def test_a_router_with_another_key_is_not_let_in_and_says_so():
    """It is the router's fault, and not the client's."""
    other = LeaseTerms((b"o" * 32,), required=True)
    async with engine(terms=other) as one, route({"home": [address(one)]}) as r:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await r.stream(ask())
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "let this router in" in caught.value.details()


async def test_what_the_core_was_told_of_leases_replays(tmp_path):
    """Claims and accounts are events like any other, and decide the same again."""
    path = tmp_path / "decisions.jsonl"
    logged = replace(SETTINGS, decision_log=DecisionLog(path))
    async with (
        engine(itl_s=0.002) as one,
        engine(itl_s=0.002) as two,
        taking_leases({"home": [address(one)], "cloud": [address(two)]}, settings=logged) as r,
        client_of(r) as client,
    ):
        await client.generate("41", max_new_tokens=20, session="s")
        stream = client.stream("7", max_new_tokens=50)
        await anext(stream)
        stream.cancel()
        await r.fleet.Place(pb.PlaceRequest(request=ask()))
        await asyncio.gather(*(client.generate("1") for _ in range(5)))
        await client.close()
    assert {"LeaseClaimed", "LoadHeard"} <= {type(e.happening).__name__ for e in read_log(path)}
    assert list(replay(read_log(path))) == []
