"""The methods of vLLM's engine API on a server that may know methods by their last name alone.

Ray Serve calls a method of its class by the last part of a gRPC name, and `Generate`, `Abort`,
`GetModelInfo` and `GetServerInfo` are methods of `vllm.Inference` and `vllm.Control`, too. So a
call is looked up by its whole name, and what it is looked up as has another last name.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import grpc
from google.protobuf.message import Message

from wire.engine import common_pb2, engine_pb2
from wire.malformed import Malformed, read
from wire.status import bad_field

SERVICE: Final = "vllm.grpc.engine.VllmEngine"

SERVER_TYPE: Final = "vllm-grpc"
"""What a server of it says that it is."""

M = TypeVar("M", bound=Message)

_PREFIX: Final = "Engine"
"""Of a method's name in a class."""

_UNARY: Final = {
    "HealthCheck": engine_pb2.HealthCheckRequest,
    "Abort": engine_pb2.AbortRequest,
    "GetModelInfo": engine_pb2.GetModelInfoRequest,
    "GetServerInfo": engine_pb2.GetServerInfoRequest,
    "GetLoads": engine_pb2.GetLoadsRequest,
}
_STREAMS: Final = {
    "Generate": engine_pb2.GenerateRequest,
    "GetTokenizer": common_pb2.GetTokenizerRequest,
}


class EngineHandlers(grpc.GenericRpcHandler):
    """The handlers of the service, whose methods are `Engine<Name>` of an object."""

    def __init__(self, methods: Any) -> None:
        build = grpc.unary_unary_rpc_method_handler
        stream = grpc.unary_stream_rpc_method_handler
        # Serve replaces what this holds, by the names that are its keys.
        self._method_handlers: Mapping[str, grpc.RpcMethodHandler] = {
            **{path_of(n): build(_of(methods, n), _reader(t), _raw) for n, t in _UNARY.items()},
            **{path_of(n): stream(_of(methods, n), _reader(t), _raw) for n, t in _STREAMS.items()},
        }

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        """The handler of a call; None for one of another service, or of no method of this one."""
        service, _, name = details.method.removeprefix("/").partition("/")
        return self._method_handlers.get(path_of(name)) if service == SERVICE else None


def message_of(request: M | Malformed) -> M:
    """What a handler got. Raises CallError for bytes that are no message."""
    if isinstance(request, Malformed):
        raise bad_field(request.field or "request", request.reason)
    return request


def path_of(name: str) -> str:
    """What a method is looked up as."""
    return f"/{SERVICE}/{_PREFIX}{name}"


def _of(methods: Any, name: str) -> Any:
    return getattr(methods, f"{_PREFIX}{name}")


def _reader(message_type: type[Message]) -> Callable[[bytes], Message | Malformed]:
    return lambda raw: read(message_type, raw)


def _raw(message: Message) -> bytes:
    return message.SerializeToString()
