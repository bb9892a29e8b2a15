"""The service spillway.v1.Link: many streams of vllm.Inference in one.

Each session is a task that runs the handler of GenerateStream as a call of its own would. What the
tasks bring is collected in one frame, and the frame is taken when all tasks that the engine has
woken have run: so an engine's step is one message, however many sessions it had tokens for, and the
load report is of that step.

A session that has no credit left, or a frame that is full because the router does not read, makes
the session's task wait; the engine then merges what it has for it, as for any slow consumer.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractContextManager, aclosing
from typing import Any, Protocol

import grpc

from serving.engine import EngineDeadError
from serving.link_frame import CHUNK_OVERHEAD_BYTES, Frame
from serving.link_session import LinkSession
from serving.load import LoadBoard, Watcher
from wire.malformed import Malformed, read
from wire.spillway.v1 import link_pb2 as pb
from wire.spillway.v1.link import MESSAGE_BYTES_MIN
from wire.status import CallContext, CallError, bad_field, failure
from wire.vllm.inference_pb2 import GenerateRequest, GenerateResponse

FRAME_BYTES_MAX = 256 * 1024
"""A frame that has more waits to be taken before it gets more. A chunk may be larger by itself."""

RESERVED_BYTES = 512 * 1024
"""Of the router's limit, for what comes with a chunk: the ends of sessions and a load report."""

SESSIONS_MAX = 4_096
"""Of one link: more than a replica takes requests, which it refuses by itself before."""

LEAVE_S, LEAVE_LOOKS = 2.0, 4
"""How long a router has to close a link that has no session left, once the replica drains."""

_log = logging.getLogger(__name__)


class Replica(Protocol):
    """What a link needs of a replica."""

    board: LoadBoard

    def GenerateStream(  # noqa: N802 - the wire's name
        self, request: GenerateRequest | Malformed, grpc_context: CallContext
    ) -> AsyncGenerator[GenerateResponse, None]:
        """The answer of one session."""
        ...

    def counted(self) -> AbstractContextManager[None]:
        """Counts a session as a request, for as long as it runs."""
        ...


class Link:
    """One link of one router."""

    def __init__(self, replica: Replica, hello: pb.Hello, watcher: Watcher) -> None:
        """Raises CallError for a hello that cannot be served."""
        if hello.message_bytes_max < MESSAGE_BYTES_MIN:
            raise bad_field("hello.message_bytes_max", f"must be {MESSAGE_BYTES_MIN} or more")
        if not hello.credit_bytes:
            raise bad_field("hello.credit_bytes", "must be more than 0")
        self._replica = replica
        self._hello = hello
        self._watcher = watcher
        self._frame = Frame()
        self._sessions: dict[int, tuple[LinkSession, asyncio.Task[None]]] = {}
        self._newest = 0
        self._ready = asyncio.Event()  # a frame is to be sent, or the link is over
        self._room = asyncio.Event()
        self._room.set()
        self._reported = asyncio.Event()
        self._ended = False
        self._error: CallError | None = None

    # What comes from the router.

    async def listen(self, messages: AsyncIterator[pb.Up | Malformed]) -> None:
        """Does what the router says, until it has no more to say."""
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
        """One message. Raises CallError for what no router may say."""
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
        if len(self._sessions) >= SESSIONS_MAX:
            refused = f"{SESSIONS_MAX} sessions are open on this link, the most there may be"
            failure(grpc.StatusCode.RESOURCE_EXHAUSTED, refused).set_on(session)
            self._end(session)
            return
        task = asyncio.create_task(self._run(session), name=f"session {number}")
        self._sessions[number] = (session, task)
        task.add_done_callback(lambda _: self._sessions.pop(number, None))

    # One session.

    async def _run(self, session: LinkSession) -> None:
        try:
            with self._replica.counted():
                async with asyncio.timeout(session.timeout_s):
                    await self._answer(session)
        except TimeoutError:
            code = grpc.StatusCode.DEADLINE_EXCEEDED
            CallError(code, "the deadline has passed").set_on(session)
        except CallError as error:
            error.set_on(session)
        except Exception:  # noqa: BLE001 - a defect, which must not end the other sessions
            _log.exception("a session of a link failed")
            CallError(grpc.StatusCode.UNKNOWN, "the replica failed at it").set_on(session)
        self._end(session)

    async def _answer(self, session: LinkSession) -> None:
        request = read(GenerateRequest, session.request)
        responses = self._replica.GenerateStream(request, session)
        async with aclosing(responses):
            async for response in responses:
                await self._send(session, response.SerializeToString())

    async def _send(self, session: LinkSession, chunk: bytes) -> None:
        size = len(chunk) + CHUNK_OVERHEAD_BYTES
        most = self._hello.message_bytes_max - RESERVED_BYTES
        if size > most:
            raise failure(
                grpc.StatusCode.OUT_OF_RANGE,
                f"a message of {len(chunk)} bytes is over {most}, the most that the router takes",
            )
        await session.until_credited()
        while self._frame.bytes and self._frame.bytes + size > FRAME_BYTES_MAX:
            self._room.clear()
            await self._room.wait()
        session.spend(len(chunk))
        self._frame.add(session.number, chunk)
        self._ready.set()

    def _end(self, session: LinkSession) -> None:
        self._frame.end(session)
        if self._frame.bytes > FRAME_BYTES_MAX:
            self._room.clear()
        self._ready.set()

    # What goes to the router.

    async def report(self) -> None:
        """Sends a report whenever it is due and no step has taken one along."""
        while True:
            await self._watcher.until_due()
            self._ready.set()
            await self._reported.wait()
            self._reported.clear()

    async def leave(self) -> None:
        """Ends the link of a router that leaves it open although there is nothing to wait for."""
        idle_looks = 0
        while idle_looks < LEAVE_LOOKS:
            await asyncio.sleep(LEAVE_S / LEAVE_LOOKS)
            idle = self._replica.board.draining and not self._sessions
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
        frame, self._frame = self._frame, Frame()
        self._room.set()
        board, load = self._replica.board, None
        if self._watcher.is_due:
            load = board.tell(self._watcher)
            self._reported.set()
        return frame.message(load, leaving=board.draining)

    async def close(self) -> None:
        """Ends what still runs."""
        tasks = [task for _, task in self._sessions.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def connect(
    replica: Replica, messages: AsyncIterator[pb.Up | Malformed]
) -> AsyncGenerator[pb.Down, None]:
    """What goes down a link for what comes up.

    Raises CallError, with which the link ends, and EngineDeadError.
    """
    first: Any = await anext(messages, None)
    if first is None:
        return
    if isinstance(first, Malformed) or not first.HasField("hello"):
        raise bad_field("hello", "must be in the first message of a link")
    with replica.board.watcher(first.hello.watch) as watcher:
        link = Link(replica, first.hello, watcher)
        tasks: list[asyncio.Task[None]] = []
        try:
            link.hear(first)
            tasks = [
                asyncio.create_task(link.listen(messages), name="listen to a router"),
                asyncio.create_task(link.report(), name="report to a router"),
                asyncio.create_task(link.leave(), name="leave a router"),
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


class LinkService:
    """Connect, for a replica to inherit."""

    async def Connect(  # noqa: N802 - the wire's name
        self: Replica, messages: AsyncIterator[pb.Up | Malformed], grpc_context: CallContext
    ) -> AsyncGenerator[pb.Down, None]:
        """One link, until the router closes it."""
        try:
            async with aclosing(connect(self, messages)) as downs:
                async for down in downs:
                    yield down
        except CallError as error:
            error.set_on(grpc_context)
        except EngineDeadError:
            failure(grpc.StatusCode.UNAVAILABLE, "the engine of this replica has died").set_on(
                grpc_context
            )
