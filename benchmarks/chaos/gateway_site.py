"""A site behind a gateway: a router of its own, which is all of it that can be reached."""

import grpc

from benchmarks.chaos.scene import ChaosSite
from spillway.local.relay import Relay
from spillway.local.router_process import RouterProcess
from wire.spillway.v1 import fleet_pb2, fleet_pb2_grpc

ASK_DEADLINE_S = 5.0


class GatewaySite:
    """See benchmarks.chaos.scene.ChaosSite. Where there is a relay, the gateway is behind it."""

    def __init__(self, inner: ChaosSite, gateway: RouterProcess, relay: Relay | None) -> None:
        """`relay` leads from the gateway to the one replica, whose address may change."""
        self.name = inner.name
        self.gateway = gateway
        self._inner = inner
        self._relay = relay

    @property
    def dashboard(self) -> str:
        """Of the site behind."""
        return self._inner.dashboard

    def addresses(self) -> list[str]:
        """The gateway's, and no other."""
        return [self.gateway.address]

    def engine_pids(self) -> list[int]:
        """The process of each engine behind."""
        return self._inner.engine_pids()

    def all_pids(self) -> list[int]:
        """Every process of the site, its gateway's included."""
        return [*self._inner.all_pids(), self.gateway.pid]

    @property
    def restarts(self) -> int:
        """How often engines were started again."""
        return self._inner.restarts

    def busiest(self) -> tuple[int, bool]:
        """The process of the engine that has the most to do, and whether it is the only one."""
        with grpc.insecure_channel(self.gateway.address) as channel:
            watch = fleet_pb2_grpc.FleetStub(channel).Watch(
                fleet_pb2.WatchFleetRequest(), timeout=ASK_DEADLINE_S
            )
            state = next(watch)
            watch.cancel()
        loads = {one.address: one.in_flight for site in state.sites for one in site.endpoints}
        places = self._inner.addresses()
        place = max(range(len(places)), key=lambda at: loads.get(places[at], 0))
        return self._inner.engine_pids()[place], len(places) == 1

    def replace(self) -> None:
        """Replace replicas in the orderly way."""
        self._inner.replace()

    def mend(self) -> None:
        """Have all replicas serve again, and the gateway route to them."""
        self._inner.mend()
        if self._relay is not None:
            self._relay.target = self._inner.addresses()[0]
        if not self.gateway.runs:
            self.gateway.restart()
        self.gateway.wait_until_listening()
