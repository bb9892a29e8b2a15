"""ORCA of a router: its fleet's load, on a stream of its own and in the trailers of answers."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc

from router.live.callers import Callers
from router.live.closing import Closing
from router.live.watches import Watches
from router.policy.caller import Right, may
from wire.orca.load_pb2 import OrcaLoadReport
from wire.orca.reporting import interval_s, orca_of, trailer_of, wants_trailer
from wire.orca.service_pb2 import OrcaLoadReportRequest
from wire.orca.service_pb2_grpc import OpenRcaServiceServicer
from wire.spillway.v1.load_pb2 import LoadReport
from wire.status import CallError, Metadata


class OrcaService(OpenRcaServiceServicer):
    """StreamCoreMetrics, and trailers for who asks for them and may know."""

    def __init__(
        self,
        report: Callable[[], LoadReport],
        callers: Callers,
        closing: Closing,
        watches_max: int,
    ) -> None:
        self._report = report
        self._callers = callers
        self._closing = closing
        self._watches = Watches(watches_max)

    async def StreamCoreMetrics(  # noqa: N802 - the wire's name
        self, request: OrcaLoadReportRequest, context: Any
    ) -> AsyncIterator[OrcaLoadReport]:
        """A report at once and at each interval, until the client leaves or the router closes."""
        try:
            pause_s = interval_s(request)
            with self._watches.one():
                yield orca_of(self._report())
                while not await self._closing.begins_within(pause_s):
                    yield orca_of(self._report())
        except CallError as error:
            error.set_on(context)

    def beside(self, handlers: grpc.GenericRpcHandler) -> grpc.GenericRpcHandler:
        """The same handlers, whose answers tell the load to who asks for it."""
        return _Telling(handlers, self._trailer)

    def _trailer(self, metadata: Sequence[tuple[str, str | bytes]]) -> Metadata:
        if not wants_trailer(metadata):
            return ()
        try:
            caller = self._callers.of(metadata)
        except CallError:  # whoever it is hears that from the handler
            return ()
        return trailer_of(self._report()) if may(caller, Right.LEVELS) else ()


class _Telling(grpc.GenericRpcHandler):
    """Handlers whose contexts add a trailer at the end."""

    def __init__(
        self,
        handlers: grpc.GenericRpcHandler,
        trailer: Callable[[Sequence[tuple[str, str | bytes]]], Metadata],
    ) -> None:
        self._handlers = handlers
        self._trailer = trailer

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """The handler as it is, or, where the load is asked for, with the context that tells it."""
        handler = self._handlers.service(details)
        if handler is None or not wants_trailer(details.invocation_metadata or ()):
            return handler
        behaviour = handler.unary_unary or handler.unary_stream

        async def telling(raw: bytes, context: Any) -> Any:
            return await behaviour(raw, _Context(context, self._trailer))

        if handler.unary_unary is not None:
            return handler._replace(unary_unary=telling)
        return handler._replace(unary_stream=telling)


class _Context:
    """A call's context that adds to the trailers that it is given."""

    def __init__(
        self, context: Any, trailer: Callable[[Sequence[tuple[str, str | bytes]]], Metadata]
    ) -> None:
        self._context = context
        self._trailer = trailer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def set_trailing_metadata(self, trailers: Sequence[tuple[str, str | bytes]]) -> None:
        """The load is that at the end of the answer."""
        load = self._trailer(self._context.invocation_metadata() or ())
        self._context.set_trailing_metadata((*trailers, *load))
