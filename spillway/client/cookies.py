"""The placement cookies of a client, by session: each goes back with the session's next turn."""

import threading
from collections import OrderedDict
from typing import Final

from spillway.client.ending import Pairs
from wire.spillway.v1.cookie import COOKIE_CHARS_MAX, COOKIE_KEY
from wire.status import Metadata

SESSIONS_MAX: Final = 10_000
"""The least recently used go first, at some 300 bytes each; a router may know them all the same."""


class Cookies:
    """One for each session. It may be used from several threads."""

    def __init__(self, sessions_max: int = SESSIONS_MAX) -> None:
        self._sessions_max = sessions_max
        self._by_session: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._by_session)

    def of(self, session: str) -> Metadata:
        """What goes with a request of this session, as metadata."""
        cookie = self._by_session.get(session, "") if session else ""
        return ((COOKIE_KEY, cookie),) if cookie else ()

    def keep(self, session: str, trailers: Pairs | None) -> None:
        """The cookie among the trailers of an answer, if there is one."""
        given = next((value for key, value in trailers or () if key == COOKIE_KEY), "")
        if not (session and isinstance(given, str) and 0 < len(given) <= COOKIE_CHARS_MAX):
            return
        with self._lock:
            self._by_session[session] = given
            self._by_session.move_to_end(session)
            if len(self._by_session) > self._sessions_max:
                self._by_session.popitem(last=False)
