"""Stands before every method of a router's gRPC server: who may not call it gets no further.

Strangers are turned away before their message is read.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio

from router.live.callers import Callers
from wire.status import CallError

_NOT_OURS: Final = "/grpc.reflection."
"""What there is to call is no secret: it is in the source."""


class Gate(grpc.aio.ServerInterceptor):
    """An interceptor of a server."""

    def __init__(self, callers: Callers) -> None:
        self._callers = callers

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """See grpc.aio.ServerInterceptor."""
        method = handler_call_details.method
        if not method.startswith(_NOT_OURS):
            try:
                await self._callers.admit(handler_call_details.invocation_metadata or (), method)
            except CallError as error:
                return _turned_away(error)
        return await continuation(handler_call_details)


def _turned_away(error: CallError) -> grpc.RpcMethodHandler:
    async def abort(_requests: Any, context: Any) -> None:
        await context.abort(error.code, error.message, error.trailers)

    return grpc.stream_stream_rpc_method_handler(abort)
