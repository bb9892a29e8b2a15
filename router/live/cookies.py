"""Placement cookies of one router: read with a request, made with the end of its answer."""

import os
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from router.live.incoming import Incoming
from router.live.timed_core import TimedCore, now_ns
from router.policy.hint import Hint
from wire.lease_keys import read_lease_keys
from wire.spillway.v1.cookie import COOKIE_CHARS_MAX, COOKIE_KEY, open_cookie, sign_cookie
from wire.spillway.v1.cookie_pb2 import Cookie
from wire.status import Metadata

_BELOW_CHARS_MAX: Final = COOKIE_CHARS_MAX // 2
"""Of the cookie of a router below; base64 within base64 leaves room for three."""

_TOKENS_MAX: Final = (1 << 32) - 1

Pairs = Iterable[tuple[str, str | bytes]]


def cookie_in(pairs: Pairs) -> str:
    """The cookie among trailers or metadata; empty where there is none."""
    return next((v for key, v in pairs if key == COOKIE_KEY and isinstance(v, str)), "")


class Cookies:
    """The keys are those of leases. Without any there are no cookies."""

    def __init__(self, core: TimedCore, key_file: Path | None, age_max_ns: int) -> None:
        """Raises LeaseKeyError for a file, or an environment, without usable keys."""
        self._core = core
        self._keys = read_lease_keys(key_file, os.environ)
        self.age_max_ns = age_max_ns

    def join(self, incoming: Incoming, metadata: Pairs) -> Incoming:
        """The request with what its cookie says, if it has one that says anything."""
        text = cookie_in(metadata) if self._keys else ""
        if not text:
            return incoming
        request, unix_ns = incoming.request, time.time_ns()
        cookie = open_cookie(text, request.session_key, self._keys, unix_ns, self.age_max_ns)
        if cookie is None:
            return incoming
        age_ns = max(0, unix_ns - cookie.issued_unix_ns)
        hint = Hint(
            cookie.endpoint,
            now_ns() - age_ns,
            cookie.cached_tokens,
            cookie.blocks,
            cookie.block,
        )
        return replace(incoming, request=replace(request, hint=hint), below=cookie.below)

    def of(self, session: str, below: str) -> Metadata:
        """The cookie of a session, by its key, whose turn has just ended, as a trailer."""
        placed = self._core.placement(session) if session and self._keys else None
        if placed is None:
            return ()
        cookie = Cookie(
            endpoint=placed.endpoint,
            issued_unix_ns=time.time_ns(),
            cached_tokens=min(placed.cached_tokens, _TOKENS_MAX),
            blocks=placed.blocks,
            block=placed.block,
            below=below if len(below) <= _BELOW_CHARS_MAX else "",
        )
        text = sign_cookie(cookie, session, self._keys[0])
        return ((COOKIE_KEY, text),) if text else ()
