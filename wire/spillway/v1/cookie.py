"""The placement cookie: how a session stays where its cache is, whichever router it reaches.

A router signs where it has placed a session, the client brings it along with the next turn, and any
router of the fleet believes it: no store is between them. It is a hint and nothing more. A cookie
that is forged, of another fleet or session, too old, or from ahead of time is ignored, and so is
one whose endpoint is there no longer. A client that brings back an old one has its session served
where it was, if that is a good place: it could have had that by saying nothing in between.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from google.protobuf.message import DecodeError

from wire.spillway.v1.cookie_pb2 import Cookie, SignedCookie

COOKIE_KEY: Final = "x-spillway-cookie"
"""A trailer of an answer, and metadata of the session's next request."""

COOKIE_CHARS_MAX: Final = 2 * 1024
"""Four routers, one below the other, with the longest names."""

SKEW_NS: Final = 60_000_000_000
"""How far the clocks of two routers may be apart before one ignores what the other says."""

_PURPOSE: Final = b"spillway.v1.Cookie\0"  # no signature of a lease is one of a cookie
_DIGEST_BYTES: Final = 16


def sign_cookie(cookie: Cookie, session: str, key: bytes) -> str:
    """The cookie of a session as COOKIE_KEY has it; empty where it would be too long."""
    cookie.session_digest = _digest(session)
    raw = cookie.SerializeToString()
    signed = SignedCookie(cookie=raw, signature=_signature(raw, key)).SerializeToString()
    text = base64.b64encode(signed, altchars=b"-_").decode()
    return text if len(text) <= COOKIE_CHARS_MAX else ""


def open_cookie(
    text: str | bytes, session: str, keys: Sequence[bytes], now_unix_ns: int, age_max_ns: int
) -> Cookie | None:
    """The cookie of this session that somebody with one of the keys signed not too long ago."""
    if len(text) > COOKIE_CHARS_MAX or not session:
        return None
    try:
        signed = SignedCookie.FromString(base64.b64decode(text, altchars=b"-_", validate=True))
        if not any(
            hmac.compare_digest(signed.signature, _signature(signed.cookie, key)) for key in keys
        ):
            return None
        cookie = Cookie.FromString(signed.cookie)
    except (binascii.Error, ValueError, DecodeError):
        return None
    age_ns = now_unix_ns - cookie.issued_unix_ns
    timely = -SKEW_NS <= age_ns <= age_max_ns
    return cookie if timely and cookie.session_digest == _digest(session) else None


def _digest(session: str) -> bytes:
    return blake2b(session.encode("utf-8", "surrogatepass"), digest_size=_DIGEST_BYTES).digest()


def _signature(raw: bytes, key: bytes) -> bytes:
    return hmac.digest(key, _PURPOSE + raw, "sha256")
