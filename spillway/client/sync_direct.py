"""The direct mode of the synchronous client: see `spillway.client.direct`."""

import time

import grpc

from spillway.client.connections import Connections
from spillway.client.endpoint_channels import EndpointChannels, options_to
from spillway.client.options import Call
from spillway.client.paths import CONNECT_S, Paths, Way
from spillway.client.placement import Placed, question_of, raise_unless_it_goes_through
from spillway.client.sync_direct_call import SyncDirectCall
from spillway.client.sync_telling import SyncTelling
from wire.spillway.v1.fleet_pb2 import LeaseClaim
from wire.spillway.v1.fleet_pb2_grpc import FleetStub
from wire.status import Metadata
from wire.vllm import inference_pb2 as pb
from wire.vllm import inference_pb2_grpc


class SyncDirect:
    """Placements, connections to endpoints, and what is told of them, of one client."""

    def __init__(self, connections: Connections[grpc.Channel]) -> None:
        self._connections = connections
        self._paths = Paths()
        self._channels = EndpointChannels(
            lambda way: grpc.insecure_channel(way.address, options=options_to(way)),
            lambda channel: channel.close(),
        )
        self._telling = SyncTelling(connections)

    def place(self, call: Call, remaining_s: float) -> Placed | None:
        """Where a request may go; None: through the router.

        Raises SpillwayError where nobody would serve the request.
        """
        if not self._paths.may_ask(time.monotonic()):
            return None
        connection = self._connections.take()
        try:
            placement = FleetStub(connection.channel).Place(
                question_of(call, remaining_s),
                metadata=(*call.told, *self._connections.credentials),
                timeout=remaining_s,
            )
        except grpc.RpcError as error:
            address, request_id = connection.address, call.request.request_id
            raise_unless_it_goes_through(error, address, request_id, self._paths, time.monotonic())
            return None
        finally:
            self._connections.give_back(connection)
        return Placed(placement) if placement.address else None

    def open(
        self, placed: Placed, request: pb.GenerateRequest, metadata: Metadata, timeout_s: float
    ) -> SyncDirectCall | None:
        """The request on its way to its endpoint; None where that cannot be reached."""
        way, now_s = placed.way, time.monotonic()
        if not self._paths.may_try(way, now_s):
            self._paths.missed(now_s)
            return None
        channel = self._channels.take(way)
        ready = grpc.channel_ready_future(channel)
        try:
            ready.result(min(CONNECT_S, timeout_s))
        except grpc.FutureTimeoutError:
            self._channels.give_back(channel)
            self._paths.failed(way, time.monotonic())
            return None
        except BaseException:
            self._channels.give_back(channel)
            raise
        finally:
            ready.cancel()  # or it would go on listening to the channel
        self._paths.reached(way)
        request.request_id = placed.placement.request_id
        call = inference_pb2_grpc.InferenceStub(channel).GenerateStream(
            request, metadata=(*metadata, *placed.metadata), timeout=timeout_s
        )
        return SyncDirectCall(placed, call, channel, self)

    def give_back(self, channel: grpc.Channel) -> None:
        """A call on this channel has ended."""
        self._channels.give_back(channel)

    def doubt(self, way: Way, channel: grpc.Channel) -> None:
        """Nothing answers on this channel, which may seem to stand for long yet."""
        self._channels.retire(way, channel)
        self._paths.failed(way, time.monotonic())

    def close(self) -> None:
        """Close the connections to endpoints; what still streams on them is cancelled.

        Waits until the router is told, whose connections can be closed then.
        """
        for channel in self._channels.close():
            channel.close()
        self._telling.close()

    def tell(self, claim: LeaseClaim) -> None:
        """Tell the router what became of a lease."""
        self._telling.tell(claim)
