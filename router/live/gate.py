"""Stands before every method of a router's gRPC server: who may not call it gets no further.

Strangers are turned away before their message is read.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

import grpc
import grpc.aio

from router.live.acting import Acting, Actor
from router.live.callers import Callers, Pairs
from router.policy.caller import Right, right_of
from wire.status import CallError

_NOT_OURS: Final = "/grpc.reflection."
"""What there is to call is no secret: it is in the source."""


class Gate(grpc.aio.ServerInterceptor):
    """An interceptor of a server."""

    def __init__(self, callers: Callers, acting: Acting) -> None:
        """`acting` hears of those who want to act, and may not."""
        self._callers = callers
        self._acting = acting

    async def intercept_service(
        self, continuation: Callable[[Any], Awaitable[Any]], handler_call_details: Any
    ) -> Any:
        """See grpc.aio.ServerInterceptor."""
        method = handler_call_details.method
        if not method.startswith(_NOT_OURS):
            metadata = handler_call_details.invocation_metadata or ()
            try:
                await self._callers.admit(metadata, method)
            except CallError as error:
                refused = self._acting.refused if right_of(method) is Right.ACT else None
                return _turned_away(error, method, self._actor(metadata), refused)
        return await continuation(handler_call_details)

    def _actor(self, metadata: Pairs) -> Actor:
        try:
            caller = self._callers.of(metadata)
        except CallError:
            return Actor("unknown", "unknown")
        return Actor(caller.name, caller.role.value, caller.tenant)


def _turned_away(
    error: CallError,
    method: str,
    actor: Actor,
    refused: Callable[[Actor, str, str, str], None] | None,
) -> grpc.RpcMethodHandler:
    async def abort(_requests: Any, context: Any) -> None:
        if refused is not None:
            refused(replace(actor, peer=context.peer() or ""), method, "", error.message)
        await context.abort(error.code, error.message, error.trailers)

    return grpc.stream_stream_rpc_method_handler(abort)
