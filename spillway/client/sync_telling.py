"""The synchronous twin of `spillway.client.telling`."""

import queue
import threading
import time
from contextlib import suppress

import grpc

from spillway.client.connections import Connections
from spillway.client.telling import CLAIMS_MAX, REPORT_S
from wire.spillway.v1.fleet_pb2 import LeaseClaim, ReportRequest
from wire.spillway.v1.fleet_pb2_grpc import FleetStub


class SyncTelling:
    """Tells the router of ends of leases, some together, in a thread of its own."""

    def __init__(self, connections: Connections[grpc.Channel]) -> None:
        self._connections = connections
        self._claims: queue.SimpleQueue[LeaseClaim | None] = queue.SimpleQueue()
        self._give_up_s = float("inf")
        self._thread = threading.Thread(target=self._tell_all, name="claims", daemon=True)
        self._thread.start()

    def tell(self, claim: LeaseClaim) -> None:
        """Tell the router soon, with what else there is to tell.

        It takes no lock: a stream that nobody holds is collected in the middle of anything, such as
        the start of another call on the same channel.
        """
        if self._claims.qsize() < CLAIMS_MAX:
            self._claims.put(claim)

    def close(self) -> None:
        """Tell what there is to tell yet, and wait for it, for REPORT_S at most."""
        self._give_up_s = time.monotonic() + REPORT_S
        self._claims.put(None)
        self._thread.join()

    def _tell_all(self) -> None:
        """Until the client closes."""
        closes = False
        while not closes:
            taken = [self._claims.get()]
            while not self._claims.empty():
                taken.append(self._claims.get())
            claims = [claim for claim in taken if claim is not None]
            closes = len(claims) < len(taken)
            if claims:
                self._report(claims)

    def _report(self, claims: list[LeaseClaim]) -> None:
        timeout_s = max(0.0, min(REPORT_S, self._give_up_s - time.monotonic()))
        connection = self._connections.take()
        try:
            with suppress(grpc.RpcError):
                report = FleetStub(connection.channel).Report
                report(ReportRequest(claims=claims), timeout=timeout_s)
        finally:
            self._connections.give_back(connection)
