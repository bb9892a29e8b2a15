"""Who may come in, over the native API: keys, strangers, and tenants that would cross over."""

import dataclasses

import grpc
import pytest

from router.live.callers import Callers
from router.live.openness import AuthenticationError
from router.live.settings import Authentication, RouterSettings, TlsSettings
from router.policy.fleet import Tenant
from tests.router.live.conftest import address, ask, engine, route
from tests.router.live.counting import counts
from tests.router.live.keyed import ACME, BOLT, GONE, OPS, bearer, fleet_with, route_keyed
from tests.router.live.scripted import message, scripted
from tests.waiting import until
from wire.spillway.v1 import fleet_pb2, fleet_pb2_grpc, load_pb2, load_pb2_grpc
from wire.status import reason_of
from wire.vllm import control_pb2
from wire.vllm.inference_pb2 import GenerateRequest
from wire.vllm.inference_pb2_grpc import InferenceStub

WRONG = ACME[:-1] + "x"


async def failed(call):
    """How a call failed."""
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await (call if hasattr(call, "__await__") else call.read())
    return error.value


@pytest.mark.parametrize(
    "shown",
    [
        (),
        bearer(WRONG),
        bearer(ACME + "x"),
        bearer("none"),
        (("authorization", ACME),),
        (("authorization", f"Basic {ACME}"),),
        (("authorization", "Bearer "),),
        (*bearer(ACME), *bearer(BOLT)),
        (*bearer(ACME), *bearer(ACME)),
        bearer("x" * 12_000),
        (("x-spillway-lease", "AAAA"),),
        (("x-spillway-tenant", "acme"),),
        (("authorization-bin", f"Bearer {ACME}".encode()),),
    ],
)
async def test_strangers_are_turned_away_before_their_message_is_read(shown):
    """Whatever they show, and whatever they call but whether it lives and who it is."""
    async with (
        scripted(counts()) as server,
        route_keyed({"home": [server.address]}) as routed,
        grpc.aio.insecure_channel(f"127.0.0.1:{routed.router.port}") as channel,
    ):
        for stub, method, request in (
            (InferenceStub, "GenerateStream", ask("7", 3)),
            (InferenceStub, "Generate", ask("7", 3)),
            (fleet_pb2_grpc.FleetStub, "Explain", fleet_pb2.ExplainRequest()),
            (fleet_pb2_grpc.FleetStub, "Watch", fleet_pb2.WatchFleetRequest()),
            (fleet_pb2_grpc.FleetStub, "Drain", fleet_pb2.DrainRequest(site="home")),
            (load_pb2_grpc.LoadStub, "Watch", load_pb2.WatchLoadRequest()),
        ):
            error = await failed(getattr(stub(channel), method)(request, metadata=shown))
            assert error.code() is grpc.StatusCode.UNAUTHENTICATED
            assert reason_of(error.trailing_metadata()).startswith("CREDENTIALS_")
            assert ACME not in error.details()
        # Nothing is sent: gRPC's client fails by itself to send to who has turned it away already.
        links = channel.stream_stream("/spillway.v1.Link/Connect")
        assert (await failed(links(metadata=shown))).code() is grpc.StatusCode.UNAUTHENTICATED
        assert not server.calls


async def test_a_key_lets_its_tenant_in_and_an_old_one_does_not():
    """The tenant comes from the key, and goes on to the endpoint; the key does not."""
    async with scripted(counts()) as server, route_keyed({"home": [server.address]}) as routed:
        await routed.stream(ask("7", 3), metadata=bearer(ACME))
        error = await failed(routed.inference.Generate(ask("7", 3), metadata=bearer(GONE)))
    assert reason_of(error.trailing_metadata()) == "CREDENTIALS_EXPIRED"
    (call,) = server.calls
    assert call.metadata["x-spillway-tenant"] == "acme"
    assert "authorization" not in call.metadata
    assert ACME not in str(call.metadata)


async def test_no_caller_is_another_tenant():
    """What is named beside the key has to be the key's."""
    async with scripted(counts()) as server, route_keyed({"home": [server.address]}) as routed:
        named = (("x-spillway-tenant", "bolt"),)
        error = await failed(
            routed.inference.Generate(ask("7", 3), metadata=(*bearer(ACME), *named))
        )
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        await routed.stream(ask("7", 3), metadata=(*bearer(BOLT), *named))
    assert len(server.calls) == 1


async def test_tenants_do_not_act_on_the_fleet():
    """An operator does."""
    async with scripted(counts()) as server, route_keyed({"home": [server.address]}) as routed:
        drain = fleet_pb2.DrainRequest(site="home")
        error = await failed(routed.fleet.Drain(drain, metadata=bearer(ACME)))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        error = await failed(routed.load.Watch(load_pb2.WatchLoadRequest(), metadata=bearer(ACME)))
        assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        await routed.fleet.Drain(drain, metadata=bearer(OPS))
        lend = fleet_pb2.LendRequest(site="home", replicas=1, until_unix_ns=2**63)
        reclaim, listing = fleet_pb2.ReclaimRequest(site="home"), fleet_pb2.ListLentRequest()
        for call, request in (
            (routed.fleet.Lend, lend),
            (routed.fleet.Reclaim, reclaim),
            (routed.fleet.ListLent, listing),
        ):
            error = await failed(call(request, metadata=bearer(ACME)))
            assert error.code() is grpc.StatusCode.PERMISSION_DENIED
        assert not (await routed.fleet.ListLent(listing, metadata=bearer(OPS))).lent


async def test_every_request_says_whose_cache_it_reads():
    """A client's own salt stays within its tenant's; tenants that share have none."""
    fleet = fleet_with(Tenant("bolt", shares_cache=True))
    async with (
        scripted(counts()) as server,
        route_keyed({"home": [server.address]}, fleet) as routed,
    ):
        for key in (ACME, BOLT):
            for salt in ("", "mine", "acme/"):
                request = ask("7", 3)
                request.kv.cache_salt = salt
                await routed.stream(request, metadata=bearer(key))
    salts = [GenerateRequest.FromString(call.raw).kv.cache_salt for call in server.calls]
    assert salts == ["acme/", "acme/mine", "acme/acme/", "", "/mine", "/acme/"]


async def test_an_answer_that_comes_whole_is_salted_as_well():
    """The same bytes are laid over its request."""

    async def whole(_raw, _context):
        return message("8", 1)

    async with scripted(whole) as server, route_keyed({"home": [server.address]}) as routed:
        await routed.inference.Generate(ask("7", 1), metadata=bearer(ACME))
    (call,) = server.calls
    assert GenerateRequest.FromString(call.raw).kv.cache_salt == "acme/"


async def test_no_request_goes_before_what_its_tenant_may():
    """A zero has to be said as well."""
    fleet = fleet_with(Tenant("acme", priority_ceiling=0))
    async with (
        scripted(counts()) as server,
        route_keyed({"home": [server.address]}, fleet) as routed,
    ):
        for priority in (-3, 5):
            request = ask("7", 3)
            request.priority = priority
            await routed.stream(request, metadata=bearer(ACME))
    sent = [GenerateRequest.FromString(call.raw).priority for call in server.calls]
    assert sent == [0, 5]


async def test_tenants_may_use_the_same_request_id_and_end_only_their_own():
    """Neither learns that the other uses it."""
    async with (
        engine(itl_s=30.0) as server,
        route_keyed({"home": [address(server)]}) as routed,
    ):
        request = ask("7", 3)
        request.request_id = "1"
        ours = routed.inference.GenerateStream(request, metadata=bearer(ACME))
        theirs = routed.inference.GenerateStream(request, metadata=bearer(BOLT))
        await until(lambda: server.replica.in_flight == 2)
        error = await failed(routed.inference.Generate(request, metadata=bearer(ACME)))
        assert error.code() is grpc.StatusCode.ALREADY_EXISTS
        abort = control_pb2.AbortRequest(request_ids=["1"])
        await routed.control.Abort(abort, metadata=bearer(BOLT))
        await until(lambda: server.replica.in_flight == 1)
        assert [one async for one in theirs][-1].outputs.HasField("finish_info")
        assert not ours.done()
        ours.cancel()


async def test_sessions_of_the_same_name_are_two():
    """Each stays where its own cache is."""
    async with scripted(counts()) as server, route_keyed({"home": [server.address]}) as routed:
        request = ask("7", 3)
        request.session_id = "s"
        for key in (ACME, BOLT):
            await routed.stream(request, metadata=bearer(key))
        assert (await routed.state()).sessions == 2


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0", "10.0.0.5:7070", "gpu.example.org:7070"])
def test_others_are_let_in_only_where_the_file_says_who(listen):
    """On loopback nobody has to ask; elsewhere the words have to be there."""
    far = RouterSettings(listen=listen)
    with pytest.raises(AuthenticationError, match="nothing says who may come in"):
        Callers(far, ())
    with pytest.raises(AuthenticationError, match="nothing says who may come in"):
        Callers(RouterSettings(openai_listen=listen), ())
    anybody = dataclasses.replace(far, authentication=Authentication(anonymous=True))
    assert not Callers(anybody, ()).required
    certified = dataclasses.replace(far, tls=TlsSettings(accept=("front.example.org",)))
    assert not Callers(certified, ()).required  # certificates prove who comes
    assert not Callers(RouterSettings(listen="[::1]:7070"), ()).required


async def test_where_nothing_is_said_on_loopback_nobody_is_asked():
    """The local demo needs no ceremony, and a tenant's name is what the client says."""
    async with scripted(counts()) as server, route({"home": [server.address]}) as routed:
        await routed.stream(ask("7", 3), metadata=(("x-spillway-tenant", "me"),))
    (call,) = server.calls
    assert call.metadata["x-spillway-tenant"] == "me"
    assert not GenerateRequest.FromString(call.raw).kv.cache_salt
