"""The synchronous twin of `spillway.client.telling`."""

import queue
import threading
import time
import weakref
from contextlib import suppress

import grpc

from spillway.client.connections import Connections
from spillway.client.telling import CLAIMS_MAX, REPORT_S
from wire.spillway.v1.fleet_pb2 import LeaseClaim, ReportRequest
from wire.spillway.v1.fleet_pb2_grpc import FleetStub

_Claims = queue.SimpleQueue[LeaseClaim | float]
"""What is to be told; and in the end until when, on the monotonic clock."""


class SyncTelling:
    """Tells the router of ends of leases, some together, in a thread of its own."""

    def __init__(self, connections: Connections[grpc.Channel]) -> None:
        self._claims: _Claims = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=_tell_all, args=(connections, self._claims), name="claims", daemon=True
        )
        self._thread.start()
        # Where nobody closes the client, the thread ends with it all the same.
        weakref.finalize(self, self._claims.put, float("inf")).atexit = False

    def tell(self, claim: LeaseClaim) -> None:
        """Tell the router soon, with what else there is to tell.

        It takes no lock: a stream that nobody holds is collected in the middle of anything, such as
        the start of another call on the same channel.
        """
        if self._claims.qsize() < CLAIMS_MAX:
            self._claims.put(claim)

    def close(self) -> None:
        """Tell what there is to tell yet, and wait for it, for REPORT_S at most."""
        self._claims.put(time.monotonic() + REPORT_S)
        self._thread.join()


def _tell_all(connections: Connections[grpc.Channel], claims: _Claims) -> None:
    """Until the client closes; it holds nothing of the client but its connections."""
    until_s = None
    while until_s is None:
        taken = [claims.get()]
        while not claims.empty():
            taken.append(claims.get())
        until_s = next((one for one in taken if isinstance(one, float)), None)
        told = [one for one in taken if not isinstance(one, float)]
        if told:
            left_s = REPORT_S if until_s is None else until_s - time.monotonic()
            _report(connections, told, max(0.0, min(REPORT_S, left_s)))


def _report(
    connections: Connections[grpc.Channel], claims: list[LeaseClaim], timeout_s: float
) -> None:
    connection = connections.take()
    try:
        with suppress(grpc.RpcError):
            FleetStub(connection.channel).Report(
                ReportRequest(claims=claims), metadata=connections.credentials, timeout=timeout_s
            )
    finally:
        connections.give_back(connection)
