"""A stream of chunks from a running call, for `for`: the synchronous twin of `Stream`."""

import threading
import time
from functools import partial
from typing import Any, Self

import grpc

from spillway.client.chunk import Chunk, chunk_of
from spillway.client.connections import Connections
from spillway.client.ending import Ending, ending_of
from spillway.client.errors import SpillwayError, error_of
from spillway.client.options import Call
from spillway.client.resumption import Break, Resumption, break_of
from spillway.client.stream import Started
from spillway.client.sync_direct import SyncDirect
from spillway.client.sync_direct_call import SyncDirectCall
from wire.spillway.v1.fleet_pb2 import LeaseClaim
from wire.vllm import inference_pb2 as pb
from wire.vllm import inference_pb2_grpc


class SyncStream:
    """The chunks of one answer, in order, as they arrive.

    The call is cancelled when a `with` block is left, by `cancel()`, and when nobody holds the
    stream any more: leaving a loop early ends the request in the engine.
    """

    def __init__(self, source: "SyncAnswering") -> None:
        self._source = source
        self._over = True  # until it has begun
        try:
            self._started = source.start()
        except BaseException:
            source.release()
            raise
        self._over = False
        self._cancelled = False
        self.ending: Ending | None = None
        """Where the answer came from, once it is complete."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Chunk:
        """The next chunk.

        Raises:
            SpillwayError: the answer broke off, or never began.
        """
        try:
            while not self._over:
                response = self._next(self._started)
                if response is not None:
                    return chunk_of(response)
        except SpillwayError:
            raise
        except BaseException:  # such as Ctrl-C
            self.cancel()
            raise
        raise StopIteration

    def _next(self, started: Started) -> pb.GenerateResponse | None:
        """The next message; None where the answer is over, or has to be asked for once more."""
        resumption = started.resumption
        try:
            response: Any = next(started.call, None)
            if response is not None:
                if not resumption.has_begun:
                    resumption.learn(started.call.initial_metadata())
                return resumption.take(response)
        except grpc.RpcError as caught:
            error: Any = caught
            if self._cancelled:
                self._end()
                return None
            if not resumption.finished:
                return self._go_on(started, error)
        trailers = started.call.trailing_metadata()
        resumption.keep(trailers)
        self.ending = ending_of(
            trailers, started.request_id, resumption.resumed, came_back=started.came_back
        )
        self._end()
        return None

    def _go_on(self, started: Started, error: Any) -> pb.GenerateResponse | None:
        resumption = started.resumption
        broke = break_of(error.code(), error.details(), error.trailing_metadata())
        if isinstance(started.direct, SyncDirectCall):
            broke = broke._replace(direct=True)
            self._source.leave(started.direct)
        last = resumption.ending(broke)
        if last is not None:
            self.ending = ending_of((), started.request_id, resumption.resumed)
            self._end()
            return last
        pause_s = self._source.pause_s(broke, started.address)
        if pause_s is None:
            self._end()
            raise error_of(error, started.address, started.request_id) from None
        time.sleep(pause_s)  # before its connection is given back: Ctrl-C gives it back, too
        started.give_back()
        self._started = self._source.start()
        return None

    def cancel(self) -> None:
        """End the call; a loop over the stream ends. Does nothing to a stream that is complete."""
        if not self._over:
            self._cancelled = True
            self._end()
            self._started.call.cancel()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._started.give_back()
            self._source.release()

    def __del__(self) -> None:
        self.cancel()


class SyncAnswering:
    """The calls of one answer, in the place that it has among the client's streams."""

    def __init__(
        self,
        connections: Connections[Any],
        places: threading.Semaphore,
        call: Call,
        resume_s: float,
        direct: SyncDirect | None = None,
    ) -> None:
        self._direct = direct
        self._came_from: tuple[tuple[str, str | bytes], ...] = ()
        self._resumption = Resumption(call, resume_s)
        self._connections = connections
        self._places = places
        self._call = call
        self._give_up_s = time.monotonic() + call.deadline_s

    def start(self) -> Started:
        """Send the request for what is left of the answer."""
        direct, self._direct = self._direct, None
        if direct is not None and self._resumption.is_able:
            started = self._start_direct(direct)
            if started is not None:
                return started
        request, metadata = self._resumption.begin()
        connection = self._connections.take()
        running = inference_pb2_grpc.InferenceStub(connection.channel).GenerateStream(
            request, metadata=(*metadata, *self._came_from), timeout=self._remaining_s
        )
        give_back = partial(self._connections.give_back, connection)
        request_id = self._call.request.request_id
        return Started(
            running,
            connection.address,
            request_id,
            self._resumption,
            give_back,
            came_back=bool(self._came_from),
        )

    def _start_direct(self, direct: SyncDirect) -> Started | None:
        """The call to where the router says; None where it has to go through the router."""
        call = self._call
        placed = direct.place(call, self._remaining_s)
        if placed is None:
            return None
        request, metadata = self._resumption.begin()
        running = direct.open(placed, request, metadata, self._remaining_s)
        if running is None:
            self._came_from = placed.coming_back(LeaseClaim.UNREACHABLE)
            return None
        address = placed.placement.address
        give_back = partial(direct.give_back, running.channel)
        request_id = call.request.request_id
        return Started(running, address, request_id, self._resumption, give_back, direct=running)

    def leave(self, direct: SyncDirectCall) -> None:
        """A call to an endpoint broke off: the next one tells the router of it."""
        self._came_from = direct.placed.coming_back(direct.account.broken)

    @property
    def _remaining_s(self) -> float:
        return max(0.0, self._give_up_s - time.monotonic())

    def pause_s(self, broke: Break, address: str) -> float | None:
        """How long to wait before the next start, after a call to this address; None: no more."""
        now_s = time.monotonic()
        pause_s = self._resumption.pause_s(broke, len(self._connections.addresses), now_s)
        if pause_s is None or now_s + pause_s >= self._give_up_s:
            return None
        self._connections.leave(address)
        return pause_s

    def release(self) -> None:
        """The stream is over; its place is free."""
        self._places.release()
