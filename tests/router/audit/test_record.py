"""One record: what was written is read, and nothing else is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.audit.record import LINE_BYTES_MAX, Head, RecordError, canonical, opened, sealed

SECRET = b"s" * 32
CONTENT = {"action": "drain", "target": "home", "before": {"draining": False}}

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@pytest.mark.parametrize("secret", [None, SECRET])
def test_what_was_sealed_opens(secret):
    """With its number, and the digest of the one before."""
    line, head = sealed(Head(6, "ab" * 32), CONTENT, secret)
    record = opened(line, secret)
    assert record["target"] == "home"
    assert (record["number"], record["previous"]) == (7, "ab" * 32)
    assert head == Head(7, record["digest"])


@given(VALUES, st.sampled_from([None, SECRET]))
def test_whatever_is_json_comes_back(value, secret):
    line, _ = sealed(Head(), {"after": value}, secret)
    assert opened(line, secret)["after"] == value
    assert line.count(b"\n") == 1
    assert line.isascii()


@given(st.data())
def test_no_byte_can_be_another(data):
    """Whichever one: the digest, the number, a letter of a name, a space between."""
    line, _ = sealed(Head(), CONTENT, data.draw(st.sampled_from([None, SECRET])))
    secret = SECRET if b"hmac" in line else None
    place = data.draw(st.integers(0, len(line) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda one: one != line[place]))
    with pytest.raises(RecordError):
        opened(line[:place] + bytes([byte]) + line[place + 1 :], secret)


@given(st.binary(max_size=300))
def test_no_bytes_of_anybodys_are_a_record(line):
    with pytest.raises(RecordError):
        opened(line + b"\n", None)


def test_without_the_secret_nobody_seals():
    """Neither as if there were none, nor with another."""
    plain, _ = sealed(Head(), CONTENT, None)
    with pytest.raises(RecordError, match="not sealed with the secret"):
        opened(plain, SECRET)
    foreign, _ = sealed(Head(), CONTENT, b"t" * 32)
    with pytest.raises(RecordError, match="its digest is another"):
        opened(foreign, SECRET)
    with pytest.raises(RecordError, match="is needed to check it"):
        opened(foreign, None)


def test_the_same_in_another_form_is_another():
    """Keys in another order, or a key that comes twice, are nobody's writing."""
    line, _ = sealed(Head(), CONTENT, None)
    with pytest.raises(RecordError):
        opened(json.dumps(json.loads(line)).encode() + b"\n", None)
    with pytest.raises(RecordError):
        opened(line.replace(b'{"action"', b'{"action":"x","action"', 1), None)


def test_a_record_has_room_for_so_much():
    with pytest.raises(RecordError, match="bytes"):
        sealed(Head(), {"after": "x" * LINE_BYTES_MAX}, None)
    with pytest.raises(RecordError):
        opened(canonical({"after": "x" * LINE_BYTES_MAX}) + b"\n", None)
