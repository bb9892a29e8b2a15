"""Cookies, leases and resume tokens: forged, replayed, foreign, of another kind, or of any size."""

import base64
import time

import grpc
import pytest

from router.live.start import make_token
from router.policy.identity import UNKNOWN
from tests.attack.scene import GENERATE, KEYS, STREAM, ask, bearer, called
from tests.waiting import wait_until
from wire.spillway.v1 import fleet_pb2
from wire.spillway.v1.cookie import COOKIE_KEY, sign_cookie
from wire.spillway.v1.cookie_pb2 import Cookie
from wire.spillway.v1.fingerprint import fingerprint_of
from wire.spillway.v1.lease import LEASE_KEY, sign
from wire.spillway.v1.lease_pb2 import Lease, SignedLease
from wire.spillway.v1.resume import IDENTITY_KEY, RESUME_KEY, RESUME_TEXT_KEY, RESUME_TOKEN_KEY
from wire.status import reason_of
from wire.vllm.control_pb2 import ServerInfo
from wire.vllm.inference_pb2 import GenerateRequest

CODES = grpc.StatusCode
OTHER_KEY = b"0" * 64
INFINITY_NS = 2**63


def cookie(scene, tenant, session, *, key=None, age_s=0.0):
    """One that says that a session is at the site which would not be chosen."""
    placed = Cookie(
        endpoint=f"lone/{scene.lone_address}",
        issued_unix_ns=int((time.time() - age_s) * 1e9),
        cached_tokens=1_000,
    )
    return sign_cookie(placed, f"{tenant}\0{session}", key or scene.lease_key)


def explained(scene, key, session, *metadata):
    """Where a turn of this session would go, as the holder of this key is told."""
    request = GenerateRequest(text="4 1 7", model="f", session_id=session)
    raw = fleet_pb2.ExplainRequest(request=request).SerializeToString()
    told = [*bearer(key), *metadata]
    answer = scene.call("/spillway.v1.Fleet/Explain", raw, told)
    assert answer.code is CODES.OK, answer.details
    return fleet_pb2.Decision.FromString(answer.messages[0])


def test_only_a_cookie_of_the_fleet_for_the_session_and_its_tenant_moves_it(scene):
    """Any other is as none, and nobody is told why."""
    acme = KEYS["acme"]
    good = cookie(scene, "acme", "s")
    assert explained(scene, acme, "s", (COOKIE_KEY, good)).site == "lone"
    lease = sign(Lease(id="x", audience="y"), scene.lease_key)
    for worthless in (
        cookie(scene, "acme", "s", key=OTHER_KEY),
        cookie(scene, "bolt", "s"),
        cookie(scene, "acme", "another"),
        cookie(scene, "acme", "s", age_s=30 * 24 * 3_600),
        cookie(scene, "acme", "s", age_s=-3_600),
        good[:-8],
        good[:-4] + "AAA=",
        lease,
        "A" * 2_048,
        "A" * 8_000,
        "%00",
    ):
        assert explained(scene, acme, "s", (COOKIE_KEY, worthless)).site == "home"
    assert explained(scene, KEYS["bolt"], "s", (COOKIE_KEY, good)).site == "home"


@pytest.fixture(scope="module")
def instance(scene):
    """The engine that wants leases, as it calls itself."""
    with grpc.insecure_channel(scene.lone_address) as channel:
        answer = called(channel, "/vllm.Control/GetServerInfo")
    return ServerInfo.FromString(answer.messages[0]).instance_id


def lease_for(instance, request, **fields):
    """A lease that is good for this request, but for what a test says."""
    given = {
        "id": request.request_id,
        "audience": instance,
        "expires_unix_ns": time.time_ns() + 5_000_000_000,
        "tenant": "acme",
        "fingerprint": fingerprint_of(request),
        "request_bytes_max": request.ByteSize(),
        "output_tokens_max": 200,
        **fields,
    }
    return Lease(**given)


def direct(scene, request, lease, tenant="acme"):
    """What the engine answers to a client that comes by itself with this lease."""
    metadata = [("x-spillway-tenant", tenant)]
    if lease is not None:
        metadata.append((LEASE_KEY, lease))
    with grpc.insecure_channel(scene.lone_address) as channel:
        answer = called(channel, GENERATE, request.SerializeToString(), metadata)
    return answer.code, reason_of(answer.trailers.items())


def test_an_engine_takes_no_lease_but_its_own_for_the_very_request(scene, instance):
    """Of the fleet's routers, in time, and no larger."""
    request = GenerateRequest.FromString(ask(request_id="leased"))
    other = GenerateRequest.FromString(ask("another prompt", request_id="leased"))
    longer = GenerateRequest.FromString(ask(tokens=201, request_id="leased"))
    good = sign(lease_for(instance, request), scene.lease_key)
    unproven, denied = CODES.UNAUTHENTICATED, CODES.PERMISSION_DENIED
    signed = SignedLease.FromString(base64.b64decode(good, altchars=b"-_"))
    signed.lease = signed.lease.replace(b"acme", b"bolt")
    changed = base64.b64encode(signed.SerializeToString(), altchars=b"-_").decode()
    as_cookie = cookie(scene, "acme", "s")

    def of(**fields):
        return sign(lease_for(instance, request, **fields), scene.lease_key)

    for shown, lease, outcome in (
        (request, None, (unproven, "LEASE_MISSING")),
        (request, "", (unproven, "LEASE_FORGED")),
        (request, "A" * 7_000, (unproven, "LEASE_FORGED")),
        (request, sign(lease_for(instance, request), OTHER_KEY), (unproven, "LEASE_FORGED")),
        (request, changed, (unproven, "LEASE_FORGED")),
        (request, as_cookie, (unproven, "LEASE_FORGED")),
        (request, of(audience="another"), (denied, "LEASE_FOREIGN")),
        (request, of(audience=""), (denied, "LEASE_FOREIGN")),
        (request, of(expires_unix_ns=time.time_ns() - 2 * 10**9), (denied, "LEASE_EXPIRED")),
        (request, of(expires_unix_ns=INFINITY_NS), (denied, "LEASE_EXPIRED")),
        (request, of(id="x"), (denied, "LEASE_OTHER_REQUEST")),
        (request, of(tenant="bolt"), (denied, "LEASE_OTHER_REQUEST")),
        (request, of(session="x"), (denied, "LEASE_OTHER_REQUEST")),
        (other, good, (denied, "LEASE_OTHER_REQUEST")),
        (longer, of(request_bytes_max=1_000), (denied, "LEASE_OVERSIZED")),
        (request, of(request_bytes_max=1), (denied, "LEASE_OVERSIZED")),
    ):
        assert direct(scene, shown, lease) == outcome
    assert direct(scene, request, good, tenant="bolt") == (denied, "LEASE_OTHER_REQUEST")
    assert direct(scene, request, good)[0] is CODES.OK


def test_a_lease_replayed_while_it_streams_begins_no_second_one(scene, instance):
    """It has one stream at a time, and ends no other request."""
    request = GenerateRequest.FromString(ask(tokens=200, request_id="once"))
    good = sign(lease_for(instance, request), scene.lease_key)
    told = (("x-spillway-tenant", "acme"), (LEASE_KEY, good))
    with grpc.insecure_channel(scene.lone_address) as channel:
        first = channel.unary_stream(STREAM)(request.SerializeToString(), metadata=told)
        next(first)
        assert direct(scene, request, good)[0] is CODES.ALREADY_EXISTS
        first.cancel()
    wait_until(lambda: direct(scene, request, good)[0] is not CODES.ALREADY_EXISTS)


def test_a_lease_brought_to_the_router_is_no_way_in(scene, instance):
    """Nor is that of another tenant, or a pass, any reason to go elsewhere."""
    request = GenerateRequest.FromString(ask(request_id="brought"))
    good = sign(lease_for(instance, request), scene.lease_key)
    router_pass = sign(
        Lease(audience=instance, expires_unix_ns=time.time_ns() + 10**9, pass_through=True),
        scene.lease_key,
    )
    raw = request.SerializeToString()
    assert scene.call(GENERATE, raw, ((LEASE_KEY, good),)).code is CODES.UNAUTHENTICATED
    for shown in (good, router_pass, "x"):
        told = (*bearer(KEYS["bolt"]), (LEASE_KEY, shown), ("x-spillway-lease-end", "BROKE_OFF"))
        assert scene.call(GENERATE, raw, told).code is CODES.OK


def token_for(tenant, request):
    """What a router gave this tenant for the rest of an answer to this request."""
    return make_token(request, tuple(b"417"), tuple(b"418 "), 4, UNKNOWN, tenant)


def test_a_resume_token_is_its_tenants_for_its_request_alone(scene):
    """Any other is refused by its name, whatever it is made of."""
    request = GenerateRequest.FromString(ask())
    other = GenerateRequest.FromString(ask("another prompt"))
    good = token_for("acme", request)
    raw = request.SerializeToString()
    for key, shown in (
        ("bolt", good),
        ("acme", token_for("bolt", request)),
        ("acme", token_for("", request)),
        ("acme", token_for("acme", other)),
        ("acme", good[:-4]),
        ("acme", "A" * 8_000),
        ("acme", "?"),
        ("acme", cookie(scene, "acme", "s")),
    ):
        answer = scene.call(STREAM, raw, (*bearer(KEYS[key]), (RESUME_TOKEN_KEY, shown)))
        assert answer.code is CODES.INVALID_ARGUMENT, shown[:40]
        assert answer.details.startswith(RESUME_TOKEN_KEY)
        assert not answer.messages


@pytest.mark.parametrize(
    ("claims", "named"),
    [
        (((RESUME_KEY, "3"),), RESUME_KEY),
        (((RESUME_KEY, "-1"),), RESUME_KEY),
        (((RESUME_KEY, "9" * 400),), RESUME_KEY),
        (((RESUME_KEY, "1"), (RESUME_TEXT_KEY, "1e9")), RESUME_KEY),
        ((("x-spillway-hops", "a,b,c,d,e"),), ""),
        ((("x-spillway-hops", "../x"),), ""),
        ((("x-spillway-attempts-left", "x"),), ""),
        ((("x-spillway-waited-ms", "9" * 60),), ""),
        (((IDENTITY_KEY, "a,b,c,d"),), ""),
    ],
)
def test_what_routers_tell_each_other_is_not_a_tenants_to_say(scene, claims, named):
    """What it says of its own answer is checked; what it says as a router would is not heard."""
    answer = scene.call(STREAM, ask(), (*bearer(KEYS["acme"]), *claims))
    if named:
        assert answer.code is CODES.INVALID_ARGUMENT
        assert answer.details.startswith(named)
    else:
        assert answer.code is CODES.OK
