"""Says why an endpoint with TLS is not reached: a wrong name in a file looks like a dead site."""

import logging
from typing import Final

import grpc
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1.health_pb2_grpc import HealthStub

_ASK_S: Final = 1.0

_log = logging.getLogger(__name__)


async def log_why_unreached(name: str, channel: grpc.aio.Channel) -> None:
    """Logs it as often as the reason changes, until cancelled. `name` is the endpoint's.

    A channel does not say why it fails; a call that fails with it does.
    """
    check, said = HealthStub(channel).Check, ""
    while True:
        state = channel.get_state()
        if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
            try:
                await check(pb.HealthCheckRequest(), timeout=_ASK_S)
            except grpc.aio.AioRpcError as error:
                why = error.details() or ""
                if error.code() is grpc.StatusCode.UNAVAILABLE and why != said:
                    said = why
                    _log.warning("%s cannot be reached: %s", name, why)
        elif state is grpc.ChannelConnectivity.READY:
            said = ""
        await channel.wait_for_state_change(state)
