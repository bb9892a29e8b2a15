"""Lines of a batch: what is taken, and what is said of what is not."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spillway.batch.line import LINE_BYTES_MAX, BadLineError, mark, read_line

GOOD = {
    "custom_id": "a",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": "m", "messages": []},
}


def line(**changes):
    return json.dumps({**GOOD, **changes}).encode()


def test_a_line_is_read_as_openai_has_it():
    """With the method, or without."""
    assert read_line(line()) == ("a", "/v1/chat/completions", GOOD["body"])
    assert read_line(json.dumps({k: v for k, v in GOOD.items() if k != "method"}).encode())


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (b"{", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no JSON object"),
        (b"\xff", "no JSON"),
        (line(custom_id=7), "custom_id"),
        (line(custom_id=""), "custom_id"),
        (line(custom_id="x" * 513), "custom_id"),
        (line(method="GET"), "method is 'GET'"),
        (line(url="/v1/embeddings"), "url is '/v1/embeddings'"),
        (line(url=None), "url is None"),
        (line(body="x"), "body is no object"),
        (line(body={"stream": True}), "body.stream"),
        (b" " * (LINE_BYTES_MAX + 1), "bytes"),
    ],
)
def test_what_is_no_request_is_told_so(wrong, told):
    """By the part that is wrong."""
    with pytest.raises(BadLineError, match=told):
        read_line(wrong)


@given(st.binary() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_any_line_is_read_or_refused(text):
    """Nothing else comes of it."""
    raw = text if isinstance(text, bytes) else text.encode()
    with contextlib.suppress(BadLineError):
        assert read_line(raw).custom_id


@given(st.text(st.characters()), st.text(st.characters()))
def test_ids_that_differ_have_marks_that_do(one, other):
    """Whatever characters they are of, halves of surrogate pairs among them."""
    assert (mark(one) == mark(other)) == (one == other)
