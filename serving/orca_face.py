"""ORCA of a replica: its load for load balancers of gRPC, on a stream of its own."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Protocol

from serving.engine import Engine, EngineDeadError
from serving.load import LoadBoard
from wire.malformed import Malformed
from wire.orca.load_pb2 import OrcaLoadReport
from wire.orca.reporting import interval_s, orca_of
from wire.orca.service_pb2 import OrcaLoadReportRequest
from wire.status import CallContext, CallError, unavailable


class Replica(Protocol):
    """What this needs of a replica."""

    board: LoadBoard
    engine: Engine


class OrcaFace:
    """StreamCoreMetrics, for a replica to inherit."""

    async def StreamCoreMetrics(  # noqa: N802 - the wire's name
        self: Replica, request: OrcaLoadReportRequest | Malformed, grpc_context: CallContext
    ) -> AsyncGenerator[OrcaLoadReport, None]:
        """A report at once and at each interval, until the client or the replica goes."""
        try:
            pause_s = interval_s(request)
            while True:
                self.engine.check()
                yield orca_of(self.board.sample(self.engine.load()))
                if self.board.draining:
                    return
                await asyncio.sleep(pause_s)
        except CallError as error:
            error.set_on(grpc_context)
        except EngineDeadError:
            unavailable("the engine of this replica has died").set_on(grpc_context)
