"""What routing needs of a call, read once from its bytes and its metadata."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import grpc

from router.live.descent import ATTEMPTS_LEFT_KEY, WAITED_KEY, read_descent
from router.live.hops import HOPS_KEY, read_hops
from router.live.start import Start, read_start
from router.policy import entitlement
from router.policy.caller import ANYBODY, Caller, Role
from router.policy.fleet import DEFAULT_TENANT, Tenant
from router.policy.request import Request
from wire.malformed import Malformed, read
from wire.metadata import (
    OWN_PREFIX,
    SESSION_KEYS,
    SLO_KEY,
    STAND_IN_KEY,
    TENANT_KEY,
    session_of,
)
from wire.spillway.v1.cookie import COOKIE_KEY
from wire.spillway.v1.fingerprint import fingerprint_of
from wire.spillway.v1.lease import LEASE_END_KEY, LEASE_KEY
from wire.spillway.v1.prefix import BLOCK_BYTES, BLOCK_TOKENS, salt_of, text_blocks, token_blocks
from wire.spillway.v1.resume import (
    IDENTITY_KEY,
    RESUME_KEY,
    RESUME_TEXT_KEY,
    RESUME_TOKEN_KEY,
)
from wire.spillway.v1.tokenizer_bound import says_tokens
from wire.spillway.v1.trailers import REQUEST_ID_KEY
from wire.status import Metadata, bad_field
from wire.tracing.context import TraceContext, read_trace_context
from wire.vllm.inference_pb2 import GenerateRequest

_FORWARDED: Final = frozenset({*SESSION_KEYS, "x-request-id"})
"""Beside our own keys and the trace. A client's credentials are for this router alone."""

_OWN: Final = frozenset(
    {
        REQUEST_ID_KEY,
        HOPS_KEY,
        COOKIE_KEY,
        ATTEMPTS_LEFT_KEY,
        WAITED_KEY,
        RESUME_KEY,
        RESUME_TEXT_KEY,
        RESUME_TOKEN_KEY,
        IDENTITY_KEY,
        LEASE_KEY,
        LEASE_END_KEY,
    }
)
"""What each router says for itself."""

_NAME_CHARS_MAX: Final = 256
"""Of a session, class, tenant, model or request id: long enough for any scheme of names, short
enough to keep in a table."""

_BYTES_PER_TOKEN: Final = BLOCK_BYTES // BLOCK_TOKENS
_MAX_NEW_TOKENS_DEFAULT: Final = 20
_PRIORITY_NUMBER: Final = GenerateRequest.PRIORITY_FIELD_NUMBER
_NO_TENANTS: Final[Mapping[str, Tenant]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Incoming:
    """A call as it came in."""

    request: Request
    deadline_ns: int
    client_id: str  # the request's own id among its caller's, which Abort names; may be empty
    forwarded: Metadata
    caller: Caller = ANYBODY
    laid_over: bytes = b""  # behind the bytes that came: what the tenant's terms make them say
    start: Start | None = None  # what the client has already of the answer to a stream
    hops: tuple[str, ...] = ()  # routers that it has passed before
    trace: TraceContext | None = None  # that it came with
    counted_as: str = ""  # the tenant among whose open calls it is; empty: nobody's
    below: str = ""  # the cookie of a router below, for where its endpoint is that router

    def without_prompt(self) -> "Incoming":
        """What is needed of it once it is decided where it goes: a stream may last for long."""
        bare = replace(self.request, prefix=()) if self.request.prefix else self.request
        return replace(self, request=bare, start=None)


def read_incoming(
    raw: bytes,
    metadata: Sequence[tuple[str, str | bytes]],
    request_id: str,
    deadline_ns: int,
    *,
    router: str,
    streams: bool = True,
    direct: bool = False,
    caller: Caller = ANYBODY,
    tenants: Mapping[str, Tenant] = _NO_TENANTS,
) -> Incoming:
    """Reads a GenerateRequest of this caller's and what came with it to this router.

    Raises CallError (INVALID_ARGUMENT, naming the field or key) for bytes that are no request and
    for metadata that cannot be passed on, PERMISSION_DENIED for another's tenant. Everything else
    is the endpoint's to judge.
    """
    message = read(GenerateRequest, raw)
    if isinstance(message, Malformed):
        raise bad_field(message.field or "request", message.reason)
    given = dict(metadata)
    # What routers tell each other is not heard from who has proved to be a tenant.
    from_above = {} if caller.role is Role.TENANT else given
    hops = read_hops(from_above, router)
    attempts_left, waited_ns = read_descent(from_above)
    tenant = _tenant(caller, given)
    forwarded = _forwarded(metadata)
    if caller.tenant:
        others = (pair for pair in forwarded if pair[0] != TENANT_KEY)
        forwarded = (*others, (TENANT_KEY, tenant))
    named = dict(forwarded)
    laid_over = _lay_over(message, caller, tenants.get(tenant) or tenants.get(DEFAULT_TENANT))
    session_key, session = session_of(forwarded)
    session = message.session_id or session
    prompt_tokens, prefix = _prompt(message)
    start = read_start(message, given, caller.tenant) if streams else None
    return Incoming(
        request=Request(
            id=request_id,
            model=_name("model", message.model),
            session=_name("session_id" if message.session_id else session_key, session),
            slo=_name(SLO_KEY, named.get(SLO_KEY, "")),
            tenant=tenant,
            priority=message.priority,
            prompt_tokens=prompt_tokens,
            max_new_tokens=message.stopping.max_new_tokens or _MAX_NEW_TOKENS_DEFAULT,
            streams=streams,
            prefix=prefix,
            prefix_block_tokens=BLOCK_TOKENS,
            deadline_ns=deadline_ns,
            fingerprint=fingerprint_of(message),
            attempts_max=attempts_left,
            waited_ns=waited_ns,
            adapter=_name("lora_name", message.lora_name),
            direct=direct,
            says_tokens=says_tokens(message),
            no_stand_in=_forbids_stand_in(named),
        ),
        deadline_ns=deadline_ns,
        client_id=caller.own(_name("request_id", message.request_id)),
        forwarded=(*forwarded, (REQUEST_ID_KEY, request_id), (HOPS_KEY, ",".join((*hops, router)))),
        caller=caller,
        laid_over=laid_over,
        start=start,
        hops=hops,
        trace=read_trace_context(metadata),
    )


def _tenant(caller: Caller, given: Mapping[str, str | bytes]) -> str:
    """Whose the request is: the caller's, where that is proved, else whose it says it is."""
    said = _name(TENANT_KEY, given.get(TENANT_KEY, ""))
    if caller.tenant and said not in {"", caller.tenant}:
        denied = grpc.StatusCode.PERMISSION_DENIED
        raise bad_field(TENANT_KEY, "is not the tenant of these credentials", denied)
    return caller.tenant or said


def _forbids_stand_in(named: Mapping[str, str | bytes]) -> bool:
    """Whether its client wants no other model."""
    said = named.get(STAND_IN_KEY, "yes")
    if said not in {"yes", "no"}:
        raise bad_field(STAND_IN_KEY, "must be yes or no")
    return said == "no"


def _lay_over(message: GenerateRequest, caller: Caller, tenant: Tenant | None) -> bytes:
    """Makes a request say what its tenant's terms are; the same as bytes to lay over its own.

    A cache's salt means something where the tenant is proved. Where a router says whose the request
    is, that router has salted it.
    """
    if tenant is None:
        return b""
    over = GenerateRequest()
    if caller.tenant:
        salt = entitlement.cache_salt(tenant, message.kv.cache_salt)
        if salt != message.kv.cache_salt:
            over.kv.cache_salt = message.kv.cache_salt = salt
    laid = over.SerializeToString()
    priority = entitlement.priority(tenant, message.priority)
    if priority != message.priority:
        message.priority = over.priority = priority
        # Protocol buffers leave a zero out, which here has to be said.
        laid = over.SerializeToString() if priority else laid + bytes((_PRIORITY_NUMBER << 3, 0))
    return laid


def _forwarded(metadata: Iterable[tuple[str, str | bytes]]) -> Metadata:
    """What goes on to the endpoint, checked: gRPC refuses to send what no header may contain."""
    kept = []
    for key, value in metadata:
        if key in _OWN or not (key in _FORWARDED or key.startswith(OWN_PREFIX)):
            continue
        if isinstance(value, str) and not (value.isascii() and value.isprintable()):
            raise bad_field(key, "metadata must be printable ASCII")
        kept.append((key, value))
    return tuple(kept)


def _name(field: str, value: str | bytes) -> str:
    if not isinstance(value, str) or len(value) > _NAME_CHARS_MAX:
        raise bad_field(field, f"must be text of at most {_NAME_CHARS_MAX} characters")
    return value


def _prompt(message: GenerateRequest) -> tuple[int, tuple[int, ...]]:
    """The prompt's length in tokens, estimated where it is text, and the hashes of its blocks."""
    salt = salt_of(message.kv.cache_salt, message.lora_name)
    if message.WhichOneof("prompt") == "text":
        length = len(message.text.encode())
        return -(-length // _BYTES_PER_TOKEN), tuple(text_blocks(message.text, salt=salt))
    ids = message.token_ids.ids
    return len(ids), tuple(token_blocks(ids, salt=salt))
