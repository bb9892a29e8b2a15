"""Who is at an address: the model it serves, its sizes, and how far away it is."""

from dataclasses import dataclass

import grpc

from router.live.timed_core import now_ns
from wire.vllm import control_pb2 as pb
from wire.vllm.control_pb2_grpc import ControlStub


@dataclass(frozen=True, slots=True)
class Identity:
    """What an endpoint says of itself on a new connection."""

    model: pb.ModelInfo
    server: pb.ServerInfo  # empty where the endpoint does not serve GetServerInfo
    rtt_ns: int

    @property
    def names(self) -> tuple[str, ...]:
        """Every name under which the model may be asked for, the first one first."""
        first = self.model.served_model_name or self.model.model_id
        return (first, *(name for name in self.model.served_model_aliases if name != first))


class NotVllmError(Exception):
    """What answers is no server of vllm.Control."""


async def identify(channel: grpc.aio.Channel, timeout_s: float) -> Identity:
    """Asks. Raises grpc.aio.AioRpcError where nobody answers, and NotVllmError."""
    control = ControlStub(channel)
    model = await control.GetModelInfo(pb.GetModelInfoRequest(), timeout=timeout_s)
    if model is None:  # bytes that are no message, as gRPC gives them
        raise NotVllmError
    asked_ns = now_ns()
    try:
        server = await control.GetServerInfo(pb.GetServerInfoRequest(), timeout=timeout_s)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
            raise
        server = pb.ServerInfo()
    return Identity(model, server or pb.ServerInfo(), now_ns() - asked_ns)
