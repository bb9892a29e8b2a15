"""Reading a request: what routing learns of it, and that nothing breaks the reading."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.live.incoming import read_incoming
from router.policy.caller import Caller, Role
from wire.spillway.v1.prefix import text_blocks, token_blocks
from wire.status import CallError
from wire.vllm.inference_pb2 import GenerateRequest, StoppingCriteria, TokenIds


def read(request=None, metadata=(), raw=None, **more):
    raw = request.SerializeToString() if raw is None else raw
    return read_incoming(raw, metadata, "r-1", 10, router="r", **more)


def outcome(*args, **kwargs):
    try:
        return read(*args, **kwargs)
    except CallError as error:
        return error


def test_what_routing_needs_is_read():
    request = GenerateRequest(
        request_id="mine",
        model="m",
        token_ids=TokenIds(ids=range(40)),
        session_id="s",
        priority=-3,
        stopping=StoppingCriteria(max_new_tokens=7),
    )
    metadata = (("x-spillway-slo", "batch"), ("x-spillway-tenant", "t"), ("other", "o"))
    incoming = read(request, metadata)
    assert incoming.client_id == "mine"
    asked = incoming.request
    assert (asked.id, asked.model, asked.session, asked.slo) == ("r-1", "m", "s", "batch")
    assert (asked.tenant, asked.priority, asked.max_new_tokens) == ("t", -3, 7)
    assert (asked.prompt_tokens, asked.deadline_ns) == (40, 10)
    assert asked.prefix == tuple(token_blocks(range(40)))
    assert incoming.forwarded == (
        *metadata[:2],
        ("x-spillway-request-id", "r-1"),
        ("x-spillway-hops", "r"),
    )


def test_text_is_estimated_at_four_bytes_a_token():
    """In UTF-8 bytes, not in characters."""
    asked = read(GenerateRequest(text="ä" * 100)).request
    assert asked.prompt_tokens == 50
    assert asked.prefix == tuple(text_blocks("ä" * 100))
    assert asked.max_new_tokens == 20


def test_a_cache_salt_keeps_prefixes_apart():
    plain = GenerateRequest(text="x" * 100)
    salted = GenerateRequest(text="x" * 100)
    salted.kv.cache_salt = "tenant"
    assert not set(read(plain).request.prefix) & set(read(salted).request.prefix)


@pytest.mark.parametrize("key", ["session_id", "x-session-id"])
def test_the_session_of_the_request_wins_over_the_metadata(key):
    assert read(GenerateRequest(), ((key, "of-metadata"),)).request.session == "of-metadata"
    named = GenerateRequest(session_id="of-field")
    assert read(named, ((key, "of-metadata"),)).request.session == "of-field"


def test_a_tenant_is_not_heard_as_if_it_were_a_router():
    """What it says of hops, attempts and waiting is nobody's; an operator's router is heard."""
    said = (
        ("x-spillway-hops", "a,b"),
        ("x-spillway-attempts-left", "1"),
        ("x-spillway-waited-ms", "900"),
    )
    tenant, operator = (
        read(GenerateRequest(), said, caller=Caller(role, "acme"))
        for role in (Role.TENANT, Role.OPERATOR)
    )
    assert (tenant.hops, tenant.request.attempts_max, tenant.request.waited_ns) == ((), 0, 0)
    assert dict(tenant.forwarded)["x-spillway-hops"] == "r"
    assert (operator.hops, operator.request.attempts_max) == (("a", "b"), 1)
    assert operator.request.waited_ns == 900_000_000


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(raw):
    """Never with another error, and a refusal names a field."""
    read_or_refusal = outcome(raw=raw)
    if isinstance(read_or_refusal, CallError):
        assert read_or_refusal.message.partition(":")[0]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["session_id", "x-session-id", "x-spillway-slo", "z"]),
            st.text(max_size=300),
        )
        | st.tuples(st.just("x-spillway-y-bin"), st.binary(max_size=300)),
        max_size=5,
    )
)
def test_any_metadata_is_read_or_refused_by_its_key(metadata):
    """What is passed on is what gRPC lets pass."""
    read_or_refusal = outcome(GenerateRequest(), metadata)
    if isinstance(read_or_refusal, CallError):
        assert read_or_refusal.message.partition(":")[0] in {key for key, _ in metadata}
        return
    for key, value in read_or_refusal.forwarded:
        assert key != "z"
        assert isinstance(value, bytes) or (value.isascii() and value.isprintable())
