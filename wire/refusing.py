"""Stands before a server while services are added to it, so that they refuse in so many words.

Generated code leaves bytes that cannot be read to gRPC, which answers UNKNOWN with the name of a
Python class. The sender made the mistake, and is told which: INVALID_ARGUMENT, naming the field.
A `CallError` that leaves a method is its answer, too, wherever it was raised: credentials may end
between the call's admission and the method that asks whose they are.
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc

from wire.malformed import Malformed, read
from wire.status import CallError, bad_field


class RefusingServer:
    """Takes the services that `add_..._to_server` of generated code adds, and adds them wrapped.

    Their methods that take one request each are coroutine functions or asynchronous generators;
    those that take and give many are coroutine functions that write to their context.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self._server = server

    def add_generic_rpc_handlers(self, _handlers: object) -> None:
        """Does nothing: generated code registers the same methods by name as well."""

    def add_registered_method_handlers(self, service: str, methods: Mapping[str, Any]) -> None:
        """Adds the methods of one service."""
        wrapped = {name: _refusing(method) for name, method in methods.items()}
        handlers = grpc.method_handlers_generic_handler(service, wrapped)
        self._server.add_generic_rpc_handlers((handlers,))


def _refusing(method: Any) -> grpc.RpcMethodHandler:
    message_type = method.request_deserializer.__self__  # it is the class's FromString

    async def answer(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        await _refuse_malformed(request, context)
        try:
            return await method.unary_unary(request, context)
        except CallError as error:
            await _abort(error, context)

    async def stream(
        request: Any, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[Any]:
        await _refuse_malformed(request, context)
        try:
            async for response in method.unary_stream(request, context):
                yield response
        except CallError as error:
            await _abort(error, context)

    async def converse(requests: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        try:
            await method.stream_stream(_until_malformed(requests, context), context)
        except CallError as error:
            await _abort(error, context)

    build = grpc.unary_stream_rpc_method_handler
    behaviour: Any = stream
    if method.unary_unary is not None:
        build, behaviour = grpc.unary_unary_rpc_method_handler, answer
    elif method.stream_stream is not None:
        build, behaviour = grpc.stream_stream_rpc_method_handler, converse
    return build(behaviour, lambda raw: read(message_type, raw), method.response_serializer)


async def _until_malformed(
    requests: AsyncIterator[Any], context: grpc.aio.ServicerContext[Any, Any]
) -> AsyncIterator[Any]:
    """The requests up to the first that is none; what they get in answer goes before its error."""
    async for request in requests:
        if isinstance(request, Malformed):
            _refusal(request).set_on(context)
            return
        yield request


async def _refuse_malformed(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    if isinstance(request, Malformed):
        await _abort(_refusal(request), context)


async def _abort(error: CallError, context: grpc.aio.ServicerContext[Any, Any]) -> None:
    """Ends a call, and with it whatever is being done for it: it raises."""
    await context.abort(error.code, error.message, error.trailers)


def _refusal(request: Malformed) -> CallError:
    return bad_field(request.field or "request", request.reason)
