"""What routers and replicas read of the wire: requests, metadata, and what is signed."""

import base64
import hmac
from typing import Final

from benchmarks.fuzz.target import Target
from router.live.incoming import read_incoming
from router.live.start import make_token, read_start
from router.policy.caller import Caller, Role
from router.policy.fleet import Tenant
from router.policy.identity import UNKNOWN
from serving.engine import EngineInfo
from serving.fake_engine import FakeEngine, FakeSettings
from serving.request import read_request
from wire.malformed import Malformed, read
from wire.spillway.v1 import fleet_pb2, link_pb2, load_pb2
from wire.spillway.v1.cookie import COOKIE_KEY, open_cookie, sign_cookie
from wire.spillway.v1.cookie_pb2 import Cookie, SignedCookie
from wire.spillway.v1.lease import (
    LEASE_KEY,
    LeaseError,
    Request,
    check_place,
    check_request,
    open_lease,
    sign,
)
from wire.spillway.v1.lease_pb2 import Lease, SignedLease
from wire.spillway.v1.resume import IDENTITY_KEY, RESUME_KEY, RESUME_TEXT_KEY, RESUME_TOKEN_KEY
from wire.status import CallError
from wire.tls.identity import is_dns_name, is_identity, is_spiffe_id
from wire.tracing.context import read_trace_context
from wire.vllm import control_pb2
from wire.vllm.inference_pb2 import GenerateRequest, StoppingCriteria, TokenIds

KEY: Final = b"k" * 32
NOW_NS: Final = 1_800_000_000_000_000_000
TENANTS: Final = {"acme": Tenant("acme", priority_ceiling=0, models=("f",))}
ACME: Final = Caller(Role.TENANT, "acme")
REQUEST: Final = GenerateRequest(
    request_id="r", model="f", text="417", stopping=StoppingCriteria(max_new_tokens=9)
)
IDS: Final = GenerateRequest(model="f", token_ids=TokenIds(ids=range(40)), session_id="s")
KEYS: Final = (
    "session_id",
    "x-session-id",
    "x-spillway-slo",
    "x-spillway-tenant",
    "x-spillway-hops",
    "x-spillway-attempts-left",
    "x-spillway-waited-ms",
    "traceparent",
    "tracestate",
    RESUME_KEY,
    RESUME_TEXT_KEY,
    RESUME_TOKEN_KEY,
    IDENTITY_KEY,
    COOKIE_KEY,
    LEASE_KEY,
    "x-spillway-x-bin",
)
PARENT: Final = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
INFO: Final[EngineInfo] = FakeEngine(FakeSettings(), ("f",)).info
MESSAGES: Final = (
    fleet_pb2.ExplainRequest,
    fleet_pb2.PlaceRequest,
    fleet_pb2.ReportRequest,
    link_pb2.Up,
    link_pb2.Down,
    load_pb2.WatchLoadRequest,
    control_pb2.AbortRequest,
)


def a_request(raw: bytes) -> None:
    """A request of vllm.Inference, as a router reads it of a tenant."""
    try:
        read_incoming(raw, (), "r-1", NOW_NS, router="r", caller=ACME, tenants=TENANTS)
    except CallError as error:
        _is_told(error)


def a_request_of_an_engine(raw: bytes) -> None:
    """The same, as a replica reads it."""
    message = read(GenerateRequest, raw)
    if isinstance(message, Malformed):
        return
    try:
        read_request(message, INFO)
    except CallError as error:
        _is_told(error)


def metadata(raw: bytes) -> None:
    """Metadata: a line is a byte that picks the key, and the value."""
    pairs: list[tuple[str, str | bytes]] = []
    for line in raw.split(b"\n"):
        key = KEYS[line[0] % len(KEYS)] if line else "z"
        value: str | bytes = line[1:]
        pairs.append((key, value if key.endswith("-bin") else line[1:].decode("latin-1")))
    for caller in (ACME, Caller(Role.ANYBODY)):
        try:
            incoming = read_incoming(
                IDS.SerializeToString(), pairs, "r-1", NOW_NS, router="r", caller=caller
            )
        except CallError as error:
            _is_told(error)
        else:
            for _, value in incoming.forwarded:
                if not (isinstance(value, bytes) or (value.isascii() and value.isprintable())):
                    raise AssertionError(f"passes on {value!r}")


def a_resume_token(raw: bytes) -> None:
    """A resume token, as its text and as what is within."""
    for text in (raw.decode("latin-1"), _url64(raw)):
        try:
            read_start(REQUEST, {RESUME_TOKEN_KEY: text}, "acme")
        except CallError as error:
            _is_told(error)


def a_cookie(raw: bytes) -> None:
    """A cookie: as text, within, and signed, as somebody with the key would."""
    signature = hmac.digest(KEY, b"spillway.v1.Cookie\0" + raw, "sha256")
    signed = SignedCookie(cookie=raw, signature=signature).SerializeToString()
    for text in (raw, raw.decode("latin-1"), _url64(raw), _url64(signed)):
        open_cookie(text, "acme\0s", (KEY,), NOW_NS, 10**15)


def a_lease(raw: bytes) -> None:
    """A lease: as text, within, and signed, as somebody with the key would."""
    signature = hmac.digest(KEY, b"spillway.v1.Lease\0" + raw, "sha256")
    signed = SignedLease(lease=raw, signature=signature).SerializeToString()
    for text in (raw, raw.decode("latin-1"), _url64(raw), _url64(signed)):
        try:
            lease = open_lease(text, (KEY,))
            check_place(lease, "e", NOW_NS)
            check_request(lease, Request("r", "s", "acme", "f", 10, 10))
        except LeaseError:
            continue


def a_message(raw: bytes) -> None:
    """What every other method takes: the first byte picks which."""
    kind = MESSAGES[raw[0] % len(MESSAGES)] if raw else MESSAGES[0]
    found = read(kind, raw[1:])
    if isinstance(found, Malformed) and not found.reason:
        raise AssertionError("it does not say what is wrong")


def a_trace(raw: bytes) -> None:
    """A trace context: two lines."""
    parent, _, state = raw.decode("latin-1").partition("\n")
    found = read_trace_context((("traceparent", parent), ("tracestate", state)))
    if found is not None and read_trace_context(found.metadata) is None:
        raise AssertionError("what is passed on is no trace context")


def a_name(raw: bytes) -> None:
    """A name in a certificate."""
    text = raw.decode("utf-8", "surrogateescape")
    if is_identity(text) != (is_dns_name(text) or is_spiffe_id(text)):
        raise AssertionError("neither a DNS name nor a SPIFFE id")
    if is_identity(text) and not (text.isascii() and text.isprintable()):
        raise AssertionError("an identity that cannot be shown")


def _url64(raw: bytes) -> str:
    return base64.b64encode(raw, altchars=b"-_").decode()


def _is_told(error: CallError) -> None:
    """A refusal names what it is about, in words that fit a line of a log."""
    if not error.message or "\n" in error.message:
        raise AssertionError(f"refuses with {error.message!r}")


_TOKEN = make_token(REQUEST, tuple(b"417"), tuple(b"418"), 3, UNKNOWN, "acme")
_COOKIE = sign_cookie(Cookie(endpoint="home/a", issued_unix_ns=NOW_NS), "acme\0s", KEY)
_LEASE = Lease(
    id="r",
    audience="e",
    expires_unix_ns=NOW_NS,
    session="s",
    tenant="acme",
    fingerprint="f",
    request_bytes_max=10,
    output_tokens_max=10,
)
_SPOKEN = [bytes((number,)) + value for number, value in enumerate((b"s", b"t", b"chat", b"acme"))]

TARGETS: Final = (
    Target("request", a_request, [REQUEST.SerializeToString(), IDS.SerializeToString()]),
    Target(
        "engine-request",
        a_request_of_an_engine,
        [REQUEST.SerializeToString(), IDS.SerializeToString()],
    ),
    Target(
        "metadata",
        metadata,
        [b"\n".join(_SPOKEN), b"\x04r1,r2\n\x053\n\x09" + b"2\n\x0a1"],
        [b"\n", PARENT, _TOKEN.encode(), _COOKIE.encode()],
    ),
    Target("resume-token", a_resume_token, [_TOKEN.encode(), base64.urlsafe_b64decode(_TOKEN)]),
    Target("cookie", a_cookie, [_COOKIE.encode(), base64.urlsafe_b64decode(_COOKIE)]),
    Target("lease", a_lease, [sign(_LEASE, KEY).encode(), _LEASE.SerializeToString()]),
    Target("message", a_message, [bytes((n,)) + b"\x0a\x03abc" for n in range(len(MESSAGES))]),
    Target("trace", a_trace, [PARENT + b"\na=b,c@d=e"]),
    Target("tls-name", a_name, [b"spiffe://example.org/a/b", b"ridge.sites.example.org"]),
)
