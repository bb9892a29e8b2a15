"""The synchronous twin of `spillway.client.answering`."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from spillway.client.attempts import Attempts, Started
from spillway.client.connections import Connections
from spillway.client.errors import DeadlineError, SpillwayError
from spillway.client.options import Call
from spillway.client.sync_direct import SyncDirect


class SyncAnswering:
    """One answer: it waits for its place, and is asked of an endpoint or of the router."""

    def __init__(
        self,
        connections: Connections[Any],
        places: threading.Semaphore,
        put: Callable[[Call], None],
        call: Call,
        resume_s: float,
        direct: SyncDirect | None = None,
    ) -> None:
        """`put` puts the prompt into the request, where it is not there yet."""
        self._connections = connections
        self._places = places
        self._has_place = False
        self._put = put
        self._call = call
        self._resume_s = resume_s
        self._direct = direct
        self._attempts: Attempts | None = None

    def start(self) -> Started:
        """Send the request for what is left of the answer; the first time, wait for a place.

        Raises DeadlineError where there is no time left.
        """
        if self._attempts is not None:
            return self._attempts.through_router(time.monotonic())
        give_up_s = time.monotonic() + self._call.deadline_s
        self._put(self._call)
        left_s = max(0.0, give_up_s - time.monotonic())
        if not self._places.acquire(timeout=min(left_s, threading.TIMEOUT_MAX)):
            raise DeadlineError("the deadline passed before the request could be sent")
        self._has_place = True
        self._attempts = Attempts(self._connections, self._call, self._resume_s, give_up_s)
        return self._first(self._attempts)

    def _first(self, attempts: Attempts) -> Started:
        """The call to where the router says, or to the router itself."""
        direct = self._direct
        if direct is None or not attempts.resumption.is_able:
            return attempts.through_router(time.monotonic())
        call = replace(self._call, metadata=(*self._call.metadata, *attempts.span.metadata))
        try:
            placed = direct.place(call, attempts.remaining_s(time.monotonic()))
        except SpillwayError as error:
            attempts.span.fail(error.code)
            raise
        if placed is None:
            return attempts.through_router(time.monotonic())
        request, metadata = attempts.resumption.begin()
        metadata = (*metadata, *attempts.span.metadata)
        opened = direct.open(placed, request, metadata, attempts.remaining_s(time.monotonic()))
        if opened is None:
            attempts.unreachable(placed)
            return attempts.through_router(time.monotonic())
        return attempts.at_endpoint(opened, partial(direct.give_back, opened.channel))

    def release(self) -> None:
        """The stream is over; its place is free, if it had one."""
        if self._attempts is not None:
            self._attempts.span.end()
        if self._has_place:
            self._has_place = False
            self._places.release()
