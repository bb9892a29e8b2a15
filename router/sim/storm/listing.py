"""What a storm's router holds of its fleet: endpoints, connections, and which sites there are."""

from collections.abc import Callable

from router.policy.core import RouterCore
from router.policy.decision import Send
from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet
from router.sim.storm.clock import JumpingClock
from router.sim.storm.plan import MODEL, Storm
from router.sim.storm.station import Engine
from router.sim.storm.turn import BrokenError

Log = Callable[[int, str], None]


class StormListing:
    """The core, and what it is told of endpoints and sites."""

    def __init__(self, storm: Storm, clock: JumpingClock, log: Log | None) -> None:
        self.core = RouterCore(storm.fleet)
        self.clock = clock
        self.engines: dict[str, Engine] = {}
        self.connected: dict[str, bool] = {}
        self.listed: set[str] = set()
        self.draining: set[str] = set()
        self._sites = {site.name for site in storm.fleet.sites}  # that the fleet has
        self._there: set[str] = set()  # what discovery would list, of whatever site
        self._unanswered: dict[str, int] = {}
        self._log = log

    def list_endpoint(self, engine: Engine) -> None:
        """Discovery lists an endpoint."""
        station = engine.station
        self.engines[engine.name] = engine
        self._there.add(engine.name)
        if station.site not in self._sites:
            return
        self.listed.add(engine.name)
        self.connected[engine.name] = True
        endpoint = Endpoint(engine.name, station.site, MODEL, identity=station.identity)
        self._say("up %s", engine.name)
        self.core.on_endpoint_up(endpoint, self.clock.now)
        self.core.on_connection(engine.name, connected=True, now=self.clock.now)
        self.core.on_rtt(engine.name, 2 * engine.way_ns, self.clock.now)

    def unlist(self, name: str) -> None:
        """Discovery lists it no more; its streams may still end."""
        self._there.discard(name)
        self._drop(name)

    def _drop(self, name: str) -> None:
        self._say("gone %s", name)
        self.listed.discard(name)
        self.core.on_endpoint_gone(name, self.clock.now)

    def reload(self, fleet: Fleet) -> None:
        """The fleet file is another one."""
        self._say("reload: %s", ", ".join(site.name for site in fleet.sites))
        self._sites = {site.name for site in fleet.sites}
        self.core.on_fleet(fleet, self.clock.now)
        for name, engine in self.engines.items():
            if engine.station.site not in self._sites and name in self.listed:
                self._drop(name)
            elif name in self._there - self.listed:
                self.list_endpoint(engine)

    def set_connected(self, name: str, *, connected: bool) -> None:
        """Its connection was lost or made, as far as the router can see."""
        if name in self.listed and self.connected[name] != connected:
            self._say("%s %s", name, "connected" if connected else "lost")
            self.connected[name] = connected
            self._unanswered[name] = 0
            self.core.on_connection(name, connected, self.clock.now)

    def drain(self, site: str, *, draining: bool) -> None:
        """The operator drains a site, or lets it serve again."""
        if site not in self._sites:
            return  # there is none
        self._say("drain %s %s", site, draining)
        (self.draining.add if draining else self.draining.discard)(site)
        self.core.on_drain(site, draining, self.clock.now)

    def must_be_allowed(self, send: Send) -> None:
        """No request goes where the core knows that none should."""
        name = send.endpoint
        if name not in self.listed or not self.connected[name]:
            raise BrokenError(f"{send.request} was sent to {name}, which is gone or not connected")
        if send.site not in self._sites:
            raise BrokenError(f"{send.request} was sent to {name}, whose site the fleet has not")
        if send.site in self.draining:
            raise BrokenError(f"{send.request} was sent to {name}, whose site drains")

    def _say(self, text: str, *values: object) -> None:
        if self._log is not None:
            self._log(self.clock.now, text % values)
