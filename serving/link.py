"""The service spillway.v1.Link of a replica: its sessions are answered as calls are."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager
from typing import Protocol

import grpc

from serving.engine import EngineDeadError
from serving.load import LoadBoard, Watcher
from wire.malformed import Malformed, read
from wire.spillway.v1 import link_pb2 as pb
from wire.spillway.v1.link_server import Send, connect
from wire.spillway.v1.link_session import LinkSession
from wire.spillway.v1.load_pb2 import LoadReport, WatchLoadRequest
from wire.status import CallContext, CallError, failure
from wire.vllm.inference_pb2 import GenerateRequest, GenerateResponse


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


class _Reports:
    """The reports of a replica's board for one link."""

    def __init__(self, board: LoadBoard, watcher: Watcher) -> None:
        self._board = board
        self._watcher = watcher
        self.until_due = watcher.until_due

    @property
    def is_due(self) -> bool:
        """See Reports."""
        return self._watcher.is_due

    def tell(self) -> LoadReport:
        """See Reports. Raises EngineDeadError."""
        return self._board.tell(self._watcher)


class _Host:
    """A replica as the host of links."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica

    @property
    def leaving(self) -> bool:
        """See Host."""
        return self._replica.board.draining

    @contextmanager
    def reports(self, watch: WatchLoadRequest) -> Iterator[_Reports]:
        """See Host."""
        board = self._replica.board
        with board.watcher(watch) as watcher:
            yield _Reports(board, watcher)

    async def answer(self, session: LinkSession, send: Send) -> None:
        """See Host."""
        with self._replica.counted():
            request = read(GenerateRequest, session.request)
            async with aclosing(self._replica.GenerateStream(request, session)) as responses:
                async for response in responses:
                    await send(response.SerializeToString())


class LinkService:
    """Connect, for a replica to inherit."""

    async def Connect(  # noqa: N802 - the wire's name
        self: Replica, messages: AsyncIterator[pb.Up | Malformed], grpc_context: CallContext
    ) -> AsyncGenerator[pb.Down, None]:
        """One link, until the router closes it."""
        try:
            async with aclosing(connect(_Host(self), messages)) as downs:
                async for down in downs:
                    yield down
        except CallError as error:
            error.set_on(grpc_context)
        except EngineDeadError:
            failure(grpc.StatusCode.UNAVAILABLE, "the engine of this replica has died").set_on(
                grpc_context
            )
