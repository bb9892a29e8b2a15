"""A site link from the router's side: one stream to an endpoint, and the sessions on it.

What comes down in one message for all sessions is handed out in one turn of the event loop. A
session that is not read holds at most its credit; the link is read on.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError

from router.live import background
from router.live.link_call import LinkCall
from wire.spillway.v1 import link_pb2 as pb
from wire.spillway.v1.link import CREDIT_BYTES, REQUEST_BYTES_MAX, from_headers, to_headers
from wire.spillway.v1.load_pb2 import LoadReport, WatchLoadRequest
from wire.status import Metadata

METHOD: Final = "/spillway.v1.Link/Connect"

_UNSENT_BYTES_MAX: Final = 4 * 1024 * 1024
"""What may wait to go up. An endpoint that does not read gets no more sessions."""

_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class BadLinkError(Exception):
    """The endpoint said what no endpoint may say."""


class Link:
    """One link, from its opening to its end."""

    def __init__(
        self,
        name: str,
        watch: WatchLoadRequest,
        message_bytes_max: int,
        on_report: Callable[[LoadReport], None],
    ) -> None:
        """`name` is the endpoint's; `on_report` hears the load reports that `watch` asks for."""
        self._name = name
        self._on_report = on_report
        self._calls: dict[int, LinkCall] = {}
        self._newest = 0
        self.is_established = False  # something has come down
        self._leaving = False
        self._unsent = pb.Up(
            hello=pb.Hello(
                watch=watch,
                message_bytes_max=message_bytes_max,
                credit_bytes=CREDIT_BYTES,
            )
        )
        self._unsent_bytes = 0
        self._to_send = asyncio.Event()
        self._to_send.set()

    @property
    def sessions(self) -> int:
        """Those that are open."""
        return len(self._calls)

    def takes(self, request: bytes) -> bool:
        """Whether a request may go this way now."""
        return (
            self.is_established
            and not self._leaving
            and len(request) <= REQUEST_BYTES_MAX
            and self._unsent_bytes <= _UNSENT_BYTES_MAX
        )

    def open(self, request: bytes, timeout_s: float, metadata: Metadata) -> LinkCall:
        """Sends a request; it is one of those that the link takes."""
        self._newest += 1
        number = self._newest
        call = LinkCall(number, timeout_s, self._credit, self._cancel)
        self._calls[number] = call
        self._unsent.opened.add(
            session=number,
            request=request,
            metadata=to_headers(metadata),
            timeout_us=max(1, round(timeout_s * 1e6)),
        )
        self._unsent_bytes += len(request)
        self._to_send.set()
        return call

    async def run(self, channel: grpc.aio.Channel) -> None:
        """Connects, and returns when the link has ended as links should: its endpoint leaves.

        Raises grpc.aio.AioRpcError where it ended otherwise, and BadLinkError. Its sessions have
        ended then, too. Bytes in, bytes out: parsing is done here, where it can fail.
        """
        call: Any = channel.stream_stream(METHOD)()
        sending = background.begin(self._send(call), f"send to {self._name}")
        why = "this router closed it"
        try:
            while (raw := await call.read()) is not grpc.aio.EOF:
                self._take(raw)
            why = "the endpoint has left"
        except grpc.aio.AioRpcError as error:
            why = f"{error.code().name}: {error.details()}"
            raise
        except BadLinkError as error:
            why = str(error)
            raise
        finally:
            self._leaving = True
            await background.end(sending)
            call.cancel()
            self._lose(why)

    # What goes up.

    async def _send(self, call: Any) -> None:
        try:
            while True:
                await self._to_send.wait()
                self._to_send.clear()
                up, self._unsent, self._unsent_bytes = self._unsent, pb.Up(), 0
                await call.write(up.SerializeToString())
                if self._leaving and not self._calls:
                    await call.done_writing()
                    return
        except (grpc.aio.AioRpcError, grpc.aio.BaseError, asyncio.InvalidStateError):
            pass  # the call has ended; whoever reads from it knows why

    def _credit(self, number: int, more_bytes: int) -> None:
        self._unsent.credits.add(session=number, bytes=more_bytes)
        self._to_send.set()

    def _cancel(self, number: int) -> None:
        if self._calls.pop(number, None) is not None:
            self._unsent.cancelled.append(number)
            self._to_send.set()

    # What comes down.

    def _take(self, raw: bytes) -> None:
        try:
            down = pb.Down.FromString(raw)
        except DecodeError as error:
            raise BadLinkError(f"{self._name} sent what is no message of a link") from error
        numbers, chunks, calls = down.sessions, down.chunks, self._calls
        if len(numbers) != len(chunks):
            raise BadLinkError(
                f"{self._name} sent {len(chunks)} chunks for {len(numbers)} sessions"
            )
        for number, chunk in zip(numbers, chunks, strict=True):
            call = calls.get(number)
            if call is not None:  # else it was given up, and this was on its way
                call.push(chunk)
        for ended in down.ended:
            call = calls.pop(ended.session, None)
            if call is not None:
                code = _CODES.get(ended.code, grpc.StatusCode.UNKNOWN)
                call.end(code, ended.message, from_headers(ended.trailers))
        if down.HasField("load"):
            self.is_established = True
            self._on_report(down.load)
        if down.leaving:
            self._leaving = True
        if self._leaving and not calls:
            self._to_send.set()

    def _lose(self, why: str) -> None:
        """The link is gone, and its sessions with it: as if the connection of each had broken."""
        calls, self._calls = self._calls, {}
        for call in calls.values():
            call.end(grpc.StatusCode.UNAVAILABLE, f"the link to {self._name} broke: {why}")
