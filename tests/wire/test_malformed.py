"""Bytes that are no message, and what is said of them."""

from hypothesis import given
from hypothesis import strategies as st

from wire.malformed import Malformed, read
from wire.vllm import inference_pb2 as pb


def test_a_message_is_read():
    request = pb.GenerateRequest(text="é", stopping=pb.StoppingCriteria(stop_strings=["x"]))
    assert read(pb.GenerateRequest, request.SerializeToString()) == request


def test_the_field_that_is_not_utf8_is_named():
    """At the top and further down."""
    request = pb.GenerateRequest(text="marked", stopping={"stop_strings": ["inner"]})
    raw = request.SerializeToString()
    assert read(pb.GenerateRequest, raw.replace(b"marked", b"mar\xffed")).field == "text"
    nested = read(pb.GenerateRequest, raw.replace(b"inner", b"in\xffer"))
    assert nested == Malformed("stopping.stop_strings", "is not valid UTF-8")


def test_bytes_that_are_nothing_name_no_field():
    assert read(pb.GenerateRequest, b"\xff\xff\xff garbage").field == ""


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_malformed(raw):
    """Never an exception: these bytes come from strangers."""
    assert isinstance(read(pb.GenerateRequest, raw), pb.GenerateRequest | Malformed)


@given(st.binary(max_size=30), st.integers(0, 60))
def test_a_spoilt_message_is_a_message_or_malformed(noise, position):
    raw = pb.GenerateRequest(
        text="some text", model="m", stopping={"stop_strings": ["a", "b"]}, media=[{"url": "u"}]
    ).SerializeToString()
    spoilt = raw[:position] + noise + raw[position:]
    assert isinstance(read(pb.GenerateRequest, spoilt), pb.GenerateRequest | Malformed)


def test_two_fields_of_one_choice_are_refused():
    """The parser would keep the last of them without a word."""
    both = (
        pb.GenerateRequest(text="hi").SerializeToString()
        + pb.GenerateRequest(token_ids=pb.TokenIds(ids=[1])).SerializeToString()
    )
    assert read(pb.GenerateRequest, both) == Malformed(
        "prompt", "has both text and token_ids: give one of them"
    )
