"""The service grpc.health.v1.Health of a router.

The servicer of grpcio-health-checking forgets every watcher of a service when one of them leaves,
and does not ask: it must be told of each change. Here the state is asked for, so it cannot be
stale.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2 as pb
from grpc_health.v1.health_pb2_grpc import HealthServicer

from router.live.closing import Closing
from router.live.watches import Watches
from wire.status import CallError

SHOWN_MAX: Final = 64
"""Characters of a name that an answer says again: it may be as long as a message."""

_POLL_S: Final = 0.25
"""How late a watcher may learn of a change."""


class Health(HealthServicer):
    """SERVING while the router takes requests and some endpoint does."""

    def __init__(
        self,
        services: tuple[str, ...],
        serves: Callable[[], bool],
        closing: Closing,
        watches_max: int,
    ) -> None:
        self._services = frozenset({"", *services})
        self._serves = serves
        self._closing = closing
        self._watches = Watches(watches_max)

    async def Check(self, request: pb.HealthCheckRequest, context: Any) -> pb.HealthCheckResponse:  # noqa: N802 - the wire's name
        """The status now; NOT_FOUND for a service that is not served here."""
        if request.service not in self._services:
            context.set_code(grpc.StatusCode.NOT_FOUND)
            context.set_details(f"service {request.service[:SHOWN_MAX]!r} is not served here")
            return pb.HealthCheckResponse()
        return pb.HealthCheckResponse(status=self._status())

    async def Watch(  # noqa: N802 - the wire's name
        self, request: pb.HealthCheckRequest, context: Any
    ) -> AsyncIterator[pb.HealthCheckResponse]:
        """The status, and again whenever it changes, until the router closes."""
        try:
            with self._watches.one():
                sent = None
                while True:
                    known = request.service in self._services
                    status = self._status() if known else pb.HealthCheckResponse.SERVICE_UNKNOWN
                    if status != sent:
                        yield pb.HealthCheckResponse(status=status)
                        sent = status
                    if await self._closing.begins_within(_POLL_S):
                        return
        except CallError as error:
            error.set_on(context)

    def _status(self) -> pb.HealthCheckResponse.ServingStatus:
        serves = self._serves()
        return pb.HealthCheckResponse.SERVING if serves else pb.HealthCheckResponse.NOT_SERVING
