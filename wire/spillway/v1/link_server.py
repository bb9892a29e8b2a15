"""The serving side of spillway.v1.Link: many streams of vllm.Inference in one.

A replica serves links, and so does a router, for the one above it; what differs between them is in
`Host`. Each session is a task that has its answer made as a call of its own would. What the tasks
bring is collected in one frame, and the frame is taken when all tasks that a step has woken have
run: so an engine's step is one message, however many sessions it had tokens for, and the load
report is of that step.

A session that has no credit left, or a frame that is full because the other side does not read,
makes the session's task wait; whoever makes its answer then merges what there is for it, as for any
slow consumer.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import grpc

from wire.malformed import Malformed
from wire.spillway.v1 import link_pb2 as pb
from wire.spillway.v1.link import MESSAGE_BYTES_MIN, METADATA_BYTES_MAX
from wire.spillway.v1.link_frame import CHUNK_OVERHEAD_BYTES, Frame
from wire.spillway.v1.link_session import LinkSession
from wire.spillway.v1.load_pb2 import LoadReport, WatchLoadRequest
from wire.status import CallError, bad_field, failure

FRAME_BYTES_MAX = 256 * 1024
"""A frame that has more waits to be taken before it gets more. A chunk may be larger by itself."""

RESERVED_BYTES = 512 * 1024
"""Of the other side's limit, for what comes with a chunk: ends of sessions and a load report."""

SESSIONS_MAX = 4_096
"""Of one link: more than a replica takes requests, which it refuses by itself before."""

LEAVE_S, LEAVE_LOOKS = 2.0, 4
"""How long the other side has to close a link with nothing left to send, once this one drains."""

Send = Callable[[bytes], Awaitable[None]]
"""Sends the next chunk of a session; returns when the one behind it may be made."""

_log = logging.getLogger(__name__)


class Reports(Protocol):
    """The load reports that one link is to bring."""

    @property
    def is_due(self) -> bool:
        """Whether there is something to tell now."""
        ...

    async def until_due(self) -> None:
        """Waits until there is."""
        ...

    def tell(self) -> LoadReport:
        """What there is to tell. Raises what a link is to end with."""
        ...


class Host(Protocol):
    """Whoever serves links."""

    @property
    def leaving(self) -> bool:
        """Whether it is on its way out."""
        ...

    def reports(self, watch: WatchLoadRequest) -> AbstractContextManager[Reports]:
        """The reports for one link, for as long as it lives."""
        ...

    async def answer(self, session: LinkSession, send: Send) -> None:
        """Answers a session, whose context it is, too. Raises CallError where it cannot."""
        ...


class Link:
    """One link."""

    def __init__(self, host: Host, hello: pb.Hello, reports: Reports) -> None:
        """Raises CallError for a hello that cannot be served."""
        if hello.message_bytes_max < MESSAGE_BYTES_MIN:
            raise bad_field("hello.message_bytes_max", f"must be {MESSAGE_BYTES_MIN} or more")
        if not hello.credit_bytes:
            raise bad_field("hello.credit_bytes", "must be more than 0")
        self._host = host
        self._hello = hello
        self._reports = reports
        self._frame = Frame()
        self._sessions: dict[int, tuple[LinkSession, asyncio.Task[None]]] = {}
        self._newest = 0
        self._ready = asyncio.Event()  # a frame is to be sent, or the link is over
        self._room = asyncio.Event()
        self._room.set()
        self._reported = asyncio.Event()
        self._ended = False
        self._error: CallError | None = None

    # What comes up.

    async def listen(self, messages: AsyncIterator[pb.Up | Malformed]) -> None:
        """Does what the other side says, until it has no more to say."""
        try:
            async for up in messages:
                await self._room.wait()  # whoever does not read is not listened to either
                self.hear(up)
        except CallError as error:
            self._error = error
        except grpc.aio.BaseError:
            pass  # the call has ended from the other side
        finally:
            self._ended = True
            self._ready.set()

    def hear(self, up: pb.Up | Malformed) -> None:
        """One message. Raises CallError for what nobody may say."""
        if isinstance(up, Malformed):
            raise bad_field(up.field or "up", up.reason)
        for opened in up.opened:
            self._open(opened)
        for number in up.cancelled:
            _, task = self._sessions.get(number, (None, None))
            if task is not None:
                task.cancel()
        for credit in up.credits:
            session, _ = self._sessions.get(credit.session, (None, None))
            if session is not None:
                session.credit(credit.bytes)

    def _open(self, opened: pb.Open) -> None:
        number = opened.session
        if number <= self._newest:
            raise bad_field("opened.session", f"{number} is not above {self._newest}, the last")
        self._newest = number
        session = LinkSession(opened, self._hello.credit_bytes)
        refused = self._refusal(opened)
        if refused is not None:
            refused.set_on(session)
            self._end(session)
            return
        task = asyncio.create_task(self._run(session), name=f"session {number}")
        self._sessions[number] = (session, task)
        task.add_done_callback(lambda _: self._sessions.pop(number, None))

    def _refusal(self, opened: pb.Open) -> CallError | None:
        if len(self._sessions) >= SESSIONS_MAX:
            said = f"{SESSIONS_MAX} sessions are open on this link, the most there may be"
            return failure(grpc.StatusCode.RESOURCE_EXHAUSTED, said)
        size = sum(len(header.key) + len(header.value) for header in opened.metadata)
        if size > METADATA_BYTES_MAX:
            said = f"has {size} bytes, and may have {METADATA_BYTES_MAX}"
            return bad_field("opened.metadata", said)
        return None

    # One session.

    async def _run(self, session: LinkSession) -> None:
        try:
            async with asyncio.timeout(session.timeout_s):
                await self._host.answer(session, lambda chunk: self._send(session, chunk))
        except TimeoutError:
            code = grpc.StatusCode.DEADLINE_EXCEEDED
            CallError(code, "the deadline has passed").set_on(session)
        except CallError as error:
            error.set_on(session)
        except Exception:  # noqa: BLE001 - a defect, which must not end the other sessions
            _log.exception("a session of a link failed")
            CallError(grpc.StatusCode.UNKNOWN, "the server failed at it").set_on(session)
        self._end(session)

    async def _send(self, session: LinkSession, chunk: bytes) -> None:
        size = len(chunk) + CHUNK_OVERHEAD_BYTES
        most = self._hello.message_bytes_max - RESERVED_BYTES
        if size > most:
            raise failure(
                grpc.StatusCode.OUT_OF_RANGE,
                f"a message of {len(chunk)} bytes is over {most}, the most that this link takes",
            )
        await session.until_credited()
        while self._frame.size and self._frame.size + size > FRAME_BYTES_MAX:
            self._room.clear()
            await self._room.wait()
        session.spend(len(chunk))
        self._frame.add(session.number, chunk)
        self._ready.set()

    def _end(self, session: LinkSession) -> None:
        self._frame.end(session)
        if self._frame.size > FRAME_BYTES_MAX:
            self._room.clear()
        self._ready.set()

    # What goes down.

    async def report(self) -> None:
        """Sends a report whenever it is due and no step has taken one along."""
        while True:
            await self._reports.until_due()
            self._ready.set()
            await self._reported.wait()
            self._reported.clear()

    async def leave(self) -> None:
        """Ends a link that the other side leaves open although there is nothing to wait for."""
        idle_looks = 0
        while idle_looks < LEAVE_LOOKS:
            await asyncio.sleep(LEAVE_S / LEAVE_LOOKS)
            idle = self._host.leaving and not self._sessions and not self._frame.size
            idle_looks = idle_looks + 1 if idle else 0
        self._ended = True
        self._ready.set()

    async def next(self) -> pb.Down | None:
        """The next message; None after the last. Raises the CallError with which a link ends."""
        await self._ready.wait()
        self._ready.clear()
        if self._ended:
            if self._error is not None:
                raise self._error
            return None
        load = None
        if self._reports.is_due:
            load = self._reports.tell()
            self._reported.set()
        down = self._frame.take(load, leaving=self._host.leaving, bytes_max=FRAME_BYTES_MAX)
        if self._frame.size <= FRAME_BYTES_MAX:
            self._room.set()
        if self._frame.size:
            self._ready.set()
        return down

    async def close(self) -> None:
        """Ends what still runs."""
        tasks = [task for _, task in self._sessions.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def connect(
    host: Host, messages: AsyncIterator[pb.Up | Malformed]
) -> AsyncGenerator[pb.Down, None]:
    """What goes down a link for what comes up.

    Raises CallError, with which the link ends, and whatever its reports raise.
    """
    first: Any = await anext(messages, None)
    if first is None:
        return
    if isinstance(first, Malformed) or not first.HasField("hello"):
        raise bad_field("hello", "must be in the first message of a link")
    with host.reports(first.hello.watch) as reports:
        link = Link(host, first.hello, reports)
        tasks: list[asyncio.Task[None]] = []
        try:
            link.hear(first)
            tasks = [
                asyncio.create_task(link.listen(messages), name="listen on a link"),
                asyncio.create_task(link.report(), name="report on a link"),
                asyncio.create_task(link.leave(), name="leave a link"),
            ]
            while (message := await link.next()) is not None:
                yield message
        finally:
            for task in tasks:
                task.cancel()
            await link.close()
            for failed in await asyncio.gather(*tasks, return_exceptions=True):
                if not isinstance(failed, asyncio.CancelledError | None):
                    _log.warning("part of a link failed", exc_info=failed)
