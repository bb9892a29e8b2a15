"""The client's direct mode: streams come from the endpoints, the router only says from which."""

import asyncio

import grpc
import grpc.aio

from spillway.client.connections import Connections
from spillway.client.direct_call import DirectCall
from spillway.client.endpoint_channels import EndpointChannels, options_to
from spillway.client.options import Call
from spillway.client.paths import CONNECT_S, Paths, Way
from spillway.client.placement import Placed, question_of, raise_unless_it_goes_through
from spillway.client.telling import Telling
from wire.spillway.v1.fleet_pb2 import LeaseClaim
from wire.spillway.v1.fleet_pb2_grpc import FleetStub
from wire.status import Metadata
from wire.vllm import inference_pb2 as pb
from wire.vllm import inference_pb2_grpc

_READY = grpc.ChannelConnectivity.READY
_FAILED = grpc.ChannelConnectivity.TRANSIENT_FAILURE


class Direct:
    """Placements, connections to endpoints, and what is told of them, of one client."""

    def __init__(self, connections: Connections[grpc.aio.Channel]) -> None:
        self._connections = connections
        self._paths = Paths()
        self._closing: set[asyncio.Task[None]] = set()
        self._channels = EndpointChannels(
            lambda way: grpc.aio.insecure_channel(way.address, options=options_to(way)),
            self._close_later,
        )
        self._telling = Telling(connections)

    async def place(self, call: Call, remaining_s: float) -> Placed | None:
        """Where a request may go; None: through the router.

        Raises SpillwayError where nobody would serve the request.
        """
        loop = asyncio.get_running_loop()
        if not self._paths.may_ask(loop.time()):
            return None
        connection = self._connections.take()
        try:
            placement = await FleetStub(connection.channel).Place(
                question_of(call, remaining_s),
                metadata=(*call.told, *self._connections.credentials),
                timeout=remaining_s,
            )
        except grpc.aio.AioRpcError as error:
            address, request_id = connection.address, call.request.request_id
            raise_unless_it_goes_through(error, address, request_id, self._paths, loop.time())
            return None
        finally:
            self._connections.give_back(connection)
        return Placed(placement) if placement.address else None

    async def open(
        self, placed: Placed, request: pb.GenerateRequest, metadata: Metadata, timeout_s: float
    ) -> DirectCall | None:
        """The request on its way to its endpoint; None where that cannot be reached."""
        way, loop = placed.way, asyncio.get_running_loop()
        if not self._paths.may_try(way, loop.time()):
            self._paths.missed(loop.time())
            return None
        channel = self._channels.take(way)
        try:
            connected = await _connected(channel, min(CONNECT_S, timeout_s))
        except BaseException:
            self._channels.give_back(channel)
            raise
        if not connected:
            self._channels.give_back(channel)
            self._paths.failed(way, loop.time())
            return None
        self._paths.reached(way)
        request.request_id = placed.placement.request_id
        call = inference_pb2_grpc.InferenceStub(channel).GenerateStream(
            request, metadata=(*metadata, *placed.metadata), timeout=timeout_s
        )
        return DirectCall(placed, call, channel, self)

    def give_back(self, channel: grpc.aio.Channel) -> None:
        """A call on this channel has ended."""
        self._channels.give_back(channel)

    def doubt(self, way: Way, channel: grpc.aio.Channel) -> None:
        """Nothing answers on this channel, which may seem to stand for long yet."""
        self._channels.retire(way, channel)
        self._paths.failed(way, asyncio.get_running_loop().time())

    async def close(self) -> None:
        """Close the connections to endpoints; what still streams on them is cancelled."""
        for channel in self._channels.close():
            await channel.close()
        await asyncio.gather(self._telling.close(), *self._closing)

    def tell(self, claim: LeaseClaim, loop: asyncio.AbstractEventLoop) -> None:
        """Tell the router what became of a lease."""
        self._telling.tell(claim, loop)

    def _close_later(self, channel: grpc.aio.Channel) -> None:
        task = asyncio.ensure_future(channel.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


async def _connected(channel: grpc.aio.Channel, within_s: float) -> bool:
    """Whether a connection stands, or can be made within this time."""
    state = channel.get_state(try_to_connect=True)
    if state is _READY:
        return True
    try:
        async with asyncio.timeout(within_s):
            await channel.wait_for_state_change(state)
            while (state := channel.get_state(try_to_connect=True)) not in {_READY, _FAILED}:
                await channel.wait_for_state_change(state)
    except TimeoutError:
        return False
    return state is _READY
