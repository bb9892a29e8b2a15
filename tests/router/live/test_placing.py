"""Placements and reports, asked for by clients of every kind."""

import asyncio
import math
import secrets
from types import SimpleNamespace

import grpc
import pytest

from router.live.lease_accounts import accounts_of
from router.live.placing import CLAIMS_MAX, Placing
from router.live.settings import SiteAccess
from router.policy.fleet import Fleet, Limits, SloClass
from router.policy.outcome import End
from router.policy.units import NS_PER_S
from serving.fake_engine import FakeEngine, FakeSettings
from serving.lease_door import LeaseTerms
from serving.standalone import serve_standalone
from tests.router.live.conftest import HOME, address, ask, route
from tests.router.live.keyed import ACME, BOLT, bearer, route_keyed
from tests.router.live.scripted import says, scripted
from tests.waiting import until, until_told
from wire.lease_keys import KEYS_ENV
from wire.spillway.v1 import fleet_pb2 as pb
from wire.spillway.v1 import load_pb2
from wire.spillway.v1.lease import LEASE_END_KEY, LEASE_KEY, open_lease
from wire.vllm.inference_pb2 import GenerateRequest, StoppingCriteria
from wire.vllm.inference_pb2_grpc import InferenceStub

KEY = secrets.token_hex(16)


@pytest.fixture
async def placing(monkeypatch):
    """A router over one engine that takes leases."""
    monkeypatch.setenv(KEYS_ENV, KEY)
    server = await serve_standalone(
        FakeEngine(FakeSettings(itl_s=0.005), ("fake",)), terms=LeaseTerms((KEY.encode(),))
    )
    try:
        async with route({"home": [address(server)]}) as routed:
            await until(lambda: all(e.takes_leases for e in routed.router._roster))
            yield routed
    finally:
        await server.stop()


async def code_of(call):
    """The status that a call fails with."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code()


def core_of(routed):
    return routed.router._core.snapshot()


async def test_a_lease_says_what_the_router_decided_on(placing):
    """Every field that the endpoint will hold the request against."""
    request = ask("41", 30, session_id="s")
    placement = await placing.fleet.Place(
        pb.PlaceRequest(request=request), metadata=(("x-spillway-tenant", "us"),)
    )
    lease = open_lease(placement.lease, (KEY.encode(),))
    endpoint = next(iter(placing.router._roster))
    assert (lease.id, lease.audience) == (placement.request_id, endpoint.instance)
    assert (lease.session, lease.tenant, lease.output_tokens_max) == ("s", "us", 30)
    assert lease.request_bytes_max >= request.ByteSize()
    assert (placement.address, placement.site) == (endpoint.address, "home")
    assert 0 < placement.silence_s <= placement.first_token_s < 60
    assert placement.identity.startswith("fake-count,")


async def test_each_lease_has_an_id_of_its_own_that_nobody_guesses(placing):
    """Who knows one knows nothing of the next."""
    places = [await placing.fleet.Place(pb.PlaceRequest(request=ask())) for _ in range(20)]
    assert len({one.request_id[-16:-4] for one in places}) == 20


@pytest.mark.parametrize("deadline_s", [-1.0, math.nan, math.inf, 1e30])
async def test_a_deadline_that_is_none_is_refused(placing, deadline_s):
    """By its name."""
    request = pb.PlaceRequest(request=ask(), deadline_s=deadline_s)
    assert await code_of(placing.fleet.Place(request)) is grpc.StatusCode.INVALID_ARGUMENT


async def test_what_a_stream_would_be_refused_for_a_placement_is_too(placing):
    """The same statuses: an unknown model, class or field, and too long a prompt."""
    for request, metadata, code in (
        (ask(model="no-such"), (), grpc.StatusCode.NOT_FOUND),
        (ask(), (("x-spillway-slo", "no-such"),), grpc.StatusCode.INVALID_ARGUMENT),
        (ask(session_id="s" * 300), (), grpc.StatusCode.INVALID_ARGUMENT),
        (ask("7" * 400_000), (), grpc.StatusCode.INVALID_ARGUMENT),
    ):
        call = placing.fleet.Place(pb.PlaceRequest(request=request), metadata=metadata)
        assert await code_of(call) is code
    assert core_of(placing).leases.open == 0


async def test_bytes_that_are_no_request_are_refused(placing):
    """As in every service."""
    for method in ("Place", "Report"):
        call = placing.channel.unary_unary(f"/spillway.v1.Fleet/{method}")
        assert await code_of(call(b"\x0a\xff")) is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_answer_that_has_begun_is_not_placed(placing):
    """What is left of it comes through the router, which can join it to the rest."""
    request = pb.PlaceRequest(
        request={"token_ids": {"ids": [1, 2, 3]}, "stopping": StoppingCriteria(max_new_tokens=5)}
    )
    begun = (("x-spillway-resume", "2"), ("x-spillway-resume-text", "2"))
    placement = await placing.fleet.Place(request, metadata=begun)
    assert (placement.address, placement.through_router) == ("", "the answer has begun already")


async def test_too_many_claims_at_once_are_refused(placing):
    """A report is bounded like everything."""
    claims = [pb.LeaseClaim()] * (CLAIMS_MAX + 1)
    call = placing.fleet.Report(pb.ReportRequest(claims=claims))
    assert await code_of(call) is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_endpoint_that_takes_no_leases_is_gone_to_through_the_router(monkeypatch):
    """A plain server of vllm.Inference, in front of which a router with a key stands."""
    monkeypatch.setenv(KEYS_ENV, KEY)
    async with scripted(says("a")) as plain, route({"home": [plain.address]}) as r:
        placement = await r.fleet.Place(pb.PlaceRequest(request=ask()))
        assert (placement.address, placement.through_router) == ("", "no endpoint takes leases")
        assert await r.stream(ask())
        assert LEASE_KEY not in plain.calls[0].metadata


async def test_a_lease_that_is_brought_back_goes_no_further(placing):
    """The endpoint is told by the router, and not shown what its client was given."""
    placement = await placing.fleet.Place(pb.PlaceRequest(request=ask()))
    back = ((LEASE_KEY, placement.lease), (LEASE_END_KEY, "UNREACHABLE"))
    assert await placing.stream(ask("41", 5), metadata=back)
    assert core_of(placing).leases.open == 0


@pytest.mark.parametrize("text", ["", "x", "=" * 100, "A" * 8_000])
async def test_what_is_no_lease_is_no_matter_to_a_router(placing, text):
    """A client may carry anything; its request is a request."""
    back = ((LEASE_KEY, text), (LEASE_END_KEY, "?" * 100))
    assert await placing.stream(ask("41", 5), metadata=back)


async def test_the_same_lease_brought_back_again_and_again_ends_once(placing):
    """By a client that lies, too."""
    placement = await placing.fleet.Place(pb.PlaceRequest(request=ask()))
    for end in ("BROKE_OFF", "REFUSED", "COMPLETE", "UNREACHABLE", "BROKE_OFF"):
        back = ((LEASE_KEY, placement.lease), (LEASE_END_KEY, end))
        assert await placing.stream(ask("41", 5), metadata=back)
    assert core_of(placing).sites[0].failures == 0
    await until(lambda: core_of(placing).leases.open == 0)


async def test_who_leaves_while_it_is_placed_leaves_nothing(placing):
    """A hundred at once, cancelled at once."""
    calls = [placing.fleet.Place(pb.PlaceRequest(request=ask())) for _ in range(100)]
    await asyncio.sleep(0)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await until(lambda: placing.router._placing._placing == 0)
    assert placing.router._placing._requests_bytes == 0


async def test_a_router_that_drains_places_nothing(placing):
    """It says so, and the client asks the next one."""
    placing.router._inference.draining = True
    call = placing.fleet.Place(pb.PlaceRequest(request=ask()))
    assert await code_of(call) is grpc.StatusCode.UNAVAILABLE


async def test_who_waits_for_room_when_the_router_stops_is_told_so(monkeypatch):
    """With a status that a client takes to another router, not a call that is cut off."""
    monkeypatch.setenv(KEYS_ENV, KEY)
    slow = FakeSettings(itl_s=0.5, max_running=1)
    server = await serve_standalone(FakeEngine(slow, ("fake",)), terms=LeaseTerms((KEY.encode(),)))
    limits = Limits(patience_ns=60 * NS_PER_S)
    slo = SloClass("chat", ttft_ns=NS_PER_S, itl_ns=NS_PER_S)
    fleet = Fleet((HOME,), (slo,), "chat", limits)
    try:
        async with route({"home": [address(server)]}, fleet=fleet) as routed:
            await until(lambda: all(e.takes_leases for e in routed.router._roster))
            calls = [routed.fleet.Place(pb.PlaceRequest(request=ask())) for _ in range(40)]
            waiting = routed.router._placing._waiting
            await until(lambda: len(waiting) + sum(call.done() for call in calls) == len(calls))
            waited = len(waiting)
            assert waited > 0
            await routed.router.stop()
            ends = await asyncio.gather(*calls, return_exceptions=True)
    finally:
        await server.stop()
    told = [end for end in ends if isinstance(end, grpc.aio.AioRpcError)]
    assert len(told) == waited
    assert {(end.code(), end.details()) for end in told} == {
        (grpc.StatusCode.UNAVAILABLE, "this router stops, and the request still waited for room")
    }


@pytest.mark.parametrize(
    ("peer", "at", "reached"),
    [
        ("ipv4:127.0.0.1:5000", "127.0.0.1:40000", True),
        ("unix:/run/x", "localhost:40000", True),
        ("ipv6:%5B::1%5D:5000", "127.0.0.1:40000", True),
        ("ipv4:10.0.0.9:5000", "127.0.0.1:40000", False),
        ("ipv4:10.0.0.9:5000", "localhost:40000", False),
        ("ipv4:10.0.0.9:5000", "10.0.0.5:40000", True),
        ("ipv4:127.0.0.1:5000", "10.0.0.5:40000", True),
    ],
)
def test_a_loopback_address_is_for_clients_on_the_same_machine(peer, at, reached):
    """To any other it would name a server of their own."""
    endpoint = SimpleNamespace(address=at, takes_leases=True, site="home")
    assert placing_with(off=()).may_go(peer, endpoint) is reached
    assert placing_with(off=("home",)).may_go(peer, endpoint) is False


def test_behind_a_door_it_is_the_doors_address_that_counts():
    """Clients elsewhere come to loopback endpoints by it, and to none by a door on loopback."""
    endpoint = SimpleNamespace(address="127.0.0.1:40000", takes_leases=True, site="home")
    elsewhere = "ipv4:10.0.0.9:5000"
    assert placing_with(doors={"home": "10.0.0.5:7443"}).may_go(elsewhere, endpoint) is True
    assert placing_with(doors={"home": "127.0.0.1:7443"}).may_go(elsewhere, endpoint) is False
    assert placing_with(doors={"cloud": "10.0.0.5:7443"}).may_go(elsewhere, endpoint) is False


def placing_with(off=(), doors=()):
    """Placements without a router around them."""
    return Placing(
        "r",
        None,
        None,
        (),
        None,
        None,
        None,
        lambda: False,
        lambda _: False,
        off,
        dict(doors),
        default_deadline_s=1.0,
        life_s=1.0,
        requests_bytes_max=1,
    )


async def test_a_site_whose_endpoints_clients_do_not_reach_is_gone_to_through_the_router(
    monkeypatch,
):
    """The fleet file says so, and no placement is tried there."""
    monkeypatch.setenv(KEYS_ENV, KEY)
    server = await serve_standalone(
        FakeEngine(FakeSettings(), ("fake",)), terms=LeaseTerms((KEY.encode(),))
    )
    way = SiteAccess("home", endpoints=(address(server),), direct=False)
    async with route({"home": way}) as r:
        await until(lambda: all(e.takes_leases for e in r.router._roster))
        placement = await r.fleet.Place(pb.PlaceRequest(request=ask()))
        assert (placement.address, placement.through_router) == ("", "no endpoint takes leases")
    await server.stop()


def test_an_account_that_cannot_be_is_bounded_and_others_are_not_heard():
    """Of a stage that is none, or another router's."""
    account = load_pb2.LeaseAccount
    most = (1 << 64) - 1
    told = load_pb2.LoadReport(
        accounts=[
            account(
                lease_id="a",
                issuer="r",
                use=1,
                stage=3,
                status=77,
                **dict.fromkeys(("age_ns", "ttft_ns", "egress_bytes"), most),
            ),
            account(lease_id="b", issuer="other", stage=3),
            account(lease_id="c", issuer="r", stage=9),
        ]
    )
    (heard,) = accounts_of(told, "r")
    assert (heard.lease, heard.end) == ("a", End.FAILED)
    assert heard.age_ns == heard.ttft_ns < 1 << 50
    assert heard.egress_bytes == 1 << 30


@pytest.mark.parametrize("required", [True, False])
async def test_a_proven_tenant_goes_where_its_terms_hold(monkeypatch, required):
    """To an endpoint that requires leases, and lays over the request what the lease says."""
    monkeypatch.setenv(KEYS_ENV, KEY)
    terms = LeaseTerms((KEY.encode(),), required=required)
    server = await serve_standalone(FakeEngine(FakeSettings(itl_s=0.0), ("fake",)), terms=terms)
    try:
        async with route_keyed({"home": [address(server)]}) as routed:
            await until(lambda: all(e.takes_leases for e in routed.router._roster))
            request = ask("a secret that somebody might guess " * 20)
            request.kv.cache_salt = "bolt/"
            placement = await routed.fleet.Place(
                pb.PlaceRequest(request=request), metadata=bearer(ACME)
            )
            if not required:
                assert placement.through_router.startswith("the tenant's terms hold at no endpoint")
                return
            lease = open_lease(placement.lease, (KEY.encode(),))
            assert (lease.tenant, placement.address) == ("acme", address(server))
            assert GenerateRequest.FromString(lease.laid_over).kv.cache_salt == "acme/bolt/"
            request.request_id = placement.request_id
            async with grpc.aio.insecure_channel(placement.address) as channel:
                call = InferenceStub(channel).GenerateStream(
                    request, metadata=((LEASE_KEY, placement.lease),)
                )
                assert [message async for message in call]
            # Where another tenant asks for the same, with the same salt, nothing of it is cached.
            for key, is_cached in ((ACME, True), (BOLT, False)):
                asked = pb.ExplainRequest(request=request)
                if is_cached:
                    await until_cached(routed, asked, key)
                decision = await routed.fleet.Explain(asked, metadata=bearer(key))
                assert (decision.candidates[0].cached_tokens > 0) is is_cached
    finally:
        await server.stop()


async def test_terms_that_no_lease_has_room_for_come_through_the_router(monkeypatch):
    """A salt of the client's may be as long as a message."""
    monkeypatch.setenv(KEYS_ENV, KEY)
    terms = LeaseTerms((KEY.encode(),), required=True)
    server = await serve_standalone(FakeEngine(FakeSettings(), ("fake",)), terms=terms)
    try:
        async with route_keyed({"home": [address(server)]}) as routed:
            await until(lambda: all(e.takes_leases for e in routed.router._roster))
            request = ask()
            request.kv.cache_salt = "x" * 2_000
            placement = await routed.fleet.Place(
                pb.PlaceRequest(request=request), metadata=bearer(ACME)
            )
            assert "more than a lease has room for" in placement.through_router
    finally:
        await server.stop()


async def until_cached(routed, asked, key):
    """Waits until the router has heard that the engine has cached this."""

    async def cached():
        decision = await routed.fleet.Explain(asked, metadata=bearer(key))
        return decision.candidates[0].cached_tokens

    await until_told(cached)
