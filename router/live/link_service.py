"""The service spillway.v1.Link of a router: the one above has its streams as sessions of one.

A session is answered as a call of vllm.Inference would be, by the same code: what tells them apart
is the context that the answer is written to.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import Any

import grpc

from router.live.inference import Inference
from router.live.load_service import LoadService, Watcher
from wire.malformed import Malformed, read
from wire.spillway.v1 import link_pb2 as pb
from wire.spillway.v1.link_server import Send, connect
from wire.spillway.v1.link_session import LinkSession
from wire.spillway.v1.load_pb2 import WatchLoadRequest
from wire.status import CallError


class LinkService:
    """Serves links, and is their host."""

    def __init__(
        self, inference: Inference, load: LoadService, draining: Callable[[], bool]
    ) -> None:
        self._inference = inference
        self._load = load
        self._draining = draining

    def handlers(self) -> grpc.GenericRpcHandler:
        """The service for a server."""
        connect_handler = grpc.stream_stream_rpc_method_handler(
            self._connect, _read_up, pb.Down.SerializeToString
        )
        return grpc.method_handlers_generic_handler(
            "spillway.v1.Link", {"Connect": connect_handler}
        )

    @property
    def leaving(self) -> bool:
        """See Host."""
        return self._draining()

    def reports(self, watch: WatchLoadRequest) -> AbstractContextManager[Watcher]:
        """See Host."""
        return nullcontext(self._load.watcher(watch))

    async def answer(self, session: LinkSession, send: Send) -> None:
        """See Host."""
        await self._inference.generate_stream(session.request, _SessionContext(session, send))

    async def _connect(
        self, messages: AsyncIterator[pb.Up | Malformed], context: Any
    ) -> AsyncGenerator[pb.Down, None]:
        try:
            async with aclosing(connect(self, messages)) as downs:
                async for down in downs:
                    yield down
        except CallError as error:
            error.set_on(context)


class _SessionContext:
    """What a handler of gRPC takes for its context, of a session."""

    def __init__(self, session: LinkSession, send: Send) -> None:
        self.write = send
        self.time_remaining = session.time_remaining
        self.invocation_metadata = session.invocation_metadata
        self.set_code = session.set_code
        self.set_details = session.set_details
        self.set_trailing_metadata = session.set_trailing_metadata

    async def send_initial_metadata(self, _metadata: Any) -> None:
        """Who answers, which a router above knows from load reports."""


def _read_up(raw: bytes) -> pb.Up | Malformed:
    return read(pb.Up, raw)
