"""What a client tells its router of the leases that it was given. Nothing depends on it."""

import asyncio
from contextlib import suppress

import grpc
import grpc.aio

from spillway.client.connections import Connections
from wire.spillway.v1.fleet_pb2 import LeaseClaim, ReportRequest
from wire.spillway.v1.fleet_pb2_grpc import FleetStub

REPORT_S = 5.0
"""What a report may take. Nobody waits for it but a client that closes."""

CLAIMS_MAX = 256
"""Claims that wait to be told. Beyond them, what the endpoints tell the router has to do."""

_TOGETHER_S = 0.1  # what comes within this time is told in one report


class Telling:
    """Tells the router of ends of leases, some together."""

    def __init__(self, connections: Connections[grpc.aio.Channel]) -> None:
        self._connections = connections
        self._claims: list[LeaseClaim] = []
        self._timer: asyncio.TimerHandle | None = None
        self._reports: set[asyncio.Task[None]] = set()  # under way
        self._is_closed = False

    def tell(self, claim: LeaseClaim, loop: asyncio.AbstractEventLoop) -> None:
        """Tell the router soon, with what else there is to tell."""
        if self._is_closed:  # and so are the connections, which would open again
            return
        if len(self._claims) < CLAIMS_MAX:
            self._claims.append(claim)
        if self._timer is None:
            self._timer = loop.call_later(_TOGETHER_S, self._begin)

    async def close(self) -> None:
        """Tell what there is to tell yet, and wait for it, for REPORT_S at most."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._begin()
        await asyncio.gather(*self._reports)

    def _begin(self) -> None:
        self._timer = None
        claims, self._claims = self._claims, []
        report = asyncio.ensure_future(self._report(claims))
        self._reports.add(report)
        report.add_done_callback(self._reports.discard)

    async def _report(self, claims: list[LeaseClaim]) -> None:
        connection = self._connections.take()
        try:
            with suppress(grpc.aio.AioRpcError):
                report = FleetStub(connection.channel).Report
                told = self._connections.credentials
                await report(ReportRequest(claims=claims), metadata=told, timeout=REPORT_S)
        finally:
            self._connections.give_back(connection)
