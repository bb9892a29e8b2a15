"""Placement cookies: only the true ones say anything."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.spillway.v1.cookie import COOKIE_CHARS_MAX, SKEW_NS, open_cookie, sign_cookie
from wire.spillway.v1.cookie_pb2 import Cookie
from wire.spillway.v1.lease import LeaseError, open_lease, sign
from wire.spillway.v1.lease_pb2 import Lease

OURS, THEIRS = b"o" * 32, b"t" * 32
HOUR = 3_600 * 10**9
NOW = 10**18


def cookie(session="s", key=OURS, issued=NOW, **fields):
    return sign_cookie(Cookie(endpoint="home/a", issued_unix_ns=issued, **fields), session, key)


def opened(text, session="s", keys=(OURS,), now=NOW):
    return open_cookie(text, session, keys, now, HOUR)


def test_what_a_router_signs_another_reads():
    """With any of the keys, so that they can be replaced."""
    text = cookie(cached_tokens=5, blocks=2, block=2**64 - 1)
    read = opened(text, keys=(THEIRS, OURS), now=NOW + HOUR)
    assert (read.endpoint, read.cached_tokens, read.blocks, read.block) == (
        "home/a",
        5,
        2,
        2**64 - 1,
    )


def test_others_cookies_say_nothing():
    """Of another fleet, another session, too old, from the future, and none at all."""
    assert opened(cookie(key=THEIRS)) is None
    assert opened(cookie(), session="other") is None
    assert opened(cookie(), session="") is None
    assert opened(cookie(), now=NOW + HOUR + 1) is None
    assert opened(cookie(), now=NOW - SKEW_NS - 1) is None
    assert opened(cookie(), keys=()) is None
    for text in ("", "!", "AAAA", "A" * (COOKIE_CHARS_MAX + 4), "\u0663", b"\xff\xfe"):
        assert opened(text) is None


def test_a_lease_is_no_cookie():
    """Both are signed with one key."""
    signed = base64.urlsafe_b64decode(sign(Lease(id="home/a"), OURS))
    assert opened(base64.urlsafe_b64encode(signed).decode()) is None
    with pytest.raises(LeaseError, match="not signed by a router"):
        open_lease(cookie(), (OURS,))


def test_one_that_would_be_too_long_is_not_given():
    assert cookie(below="b" * COOKIE_CHARS_MAX) == ""


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_changed_byte_is_noticed(place, byte):
    """Wherever it is; where nothing is changed it reads as before."""
    raw = bytearray(base64.urlsafe_b64decode(cookie(cached_tokens=7)))
    place %= len(raw)
    same = raw[place] == byte
    raw[place] = byte
    read = opened(base64.urlsafe_b64encode(raw).decode())
    assert (read is not None) == same


@given(st.binary(max_size=300) | st.text(max_size=300))
def test_anything_else_is_ignored(text):
    assert opened(text) is None
