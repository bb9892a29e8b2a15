"""A stream of chunks from a running call, for `for`: the synchronous twin of `Stream`."""

import threading
import time
from typing import Any, Self

import grpc

from spillway.client.attempts import Started
from spillway.client.chunk import Chunk, chunk_of
from spillway.client.ending import Ending
from spillway.client.errors import SpillwayError
from spillway.client.sync_answering import SyncAnswering
from wire.vllm import inference_pb2 as pb


class SyncStream:
    """The chunks of one answer, in order, as they arrive.

    The call is cancelled when a `with` block is left, by `cancel()`, and when nobody holds the
    stream any more: leaving a loop early ends the request in the engine.
    """

    ending: Ending | None = None
    """Where the answer came from, once it is complete."""

    def __init__(self, answering: SyncAnswering) -> None:
        self._answering = answering
        self._over = True  # until it has begun
        self._turn = threading.RLock()  # of who ends an attempt, as `cancel` comes from any thread
        try:
            self._started = answering.start()
        except BaseException:
            answering.release()
            raise
        self._over = False
        self._cancelled = False

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
        resumption = started.attempts.resumption
        try:
            response: Any = next(started.call, None)
            if response is not None:
                if not resumption.has_begun:
                    resumption.learn(started.call.initial_metadata())
                started.attempts.span.came()
                return resumption.take(response)
        except grpc.RpcError as error:
            if self._cancelled:
                self._end()
                return None
            if not resumption.finished:
                return self._go_on(started, error)
        self.ending = started.attempts.ending(started, started.call.trailing_metadata())
        self._end()
        return None

    def _go_on(self, started: Started, error: grpc.RpcError) -> pb.GenerateResponse | None:
        try:
            follows = started.attempts.after(started, error, time.monotonic())
        except SpillwayError:
            self._end()
            raise
        if isinstance(follows, pb.GenerateResponse):
            self.ending = started.attempts.ending(started)
            self._end()
            return follows
        time.sleep(follows)
        if self._cancelled:  # meanwhile, by another thread
            return None
        begun = self._answering.start()
        with self._turn:
            if self._over:  # and the attempt that broke was given back
                begun.give_back()
                begun.call.cancel()
            else:
                self._started = begun
                started.give_back()  # last: whatever breaks in before gives it back by `cancel`
        return None

    def cancel(self) -> None:
        """End the call; a loop over the stream ends. Does nothing to a stream that is complete."""
        with self._turn:
            if self._over:
                return
            self._cancelled = True
            self._end()
            self._started.call.cancel()

    def _end(self) -> None:
        with self._turn:
            if self._over:
                return
            self._over = True
            self._started.give_back()
            self._answering.release()

    def __del__(self) -> None:
        self.cancel()
