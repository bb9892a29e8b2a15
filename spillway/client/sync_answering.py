"""The synchronous twin of `spillway.client.answering`."""

import threading
import time
from functools import partial
from typing import Any

from spillway.client.attempts import Attempts, Started
from spillway.client.connections import Connections
from spillway.client.options import Call
from spillway.client.sync_direct import SyncDirect


class SyncAnswering:
    """One answer, which has its place: it is asked of an endpoint or of the router."""

    def __init__(
        self,
        connections: Connections[Any],
        places: threading.Semaphore,
        call: Call,
        resume_s: float,
        direct: SyncDirect | None = None,
    ) -> None:
        self._places = places
        self._call = call
        self._direct = direct
        self._has_begun = False
        give_up_s = time.monotonic() + call.deadline_s
        self._attempts = Attempts(connections, call, resume_s, give_up_s)

    def start(self) -> Started:
        """Send the request for what is left of the answer."""
        if self._has_begun:
            return self._attempts.through_router(time.monotonic())
        self._has_begun = True
        return self._first(self._attempts)

    def _first(self, attempts: Attempts) -> Started:
        """The call to where the router says, or to the router itself."""
        direct = self._direct
        if direct is None or not attempts.resumption.is_able:
            return attempts.through_router(time.monotonic())
        placed = direct.place(self._call, attempts.remaining_s(time.monotonic()))
        if placed is None:
            return attempts.through_router(time.monotonic())
        request, metadata = attempts.resumption.begin()
        call = direct.open(placed, request, metadata, attempts.remaining_s(time.monotonic()))
        if call is None:
            attempts.unreachable(placed)
            return attempts.through_router(time.monotonic())
        return attempts.at_endpoint(call, partial(direct.give_back, call.channel))

    def release(self) -> None:
        """The stream is over; its place is free."""
        self._places.release()
