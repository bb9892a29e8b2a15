"""What faults happen to: two sites that share the load, a relay before one of them, a router.

Both sites are home, so that each has its part of the load whatever the other does. The first,
`near`, is reached directly and found as its kind is found; the second, `far`, through the relay.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import grpc.aio

from benchmarks.chaos.liar import Liar
from benchmarks.chaos.mode import Mode
from benchmarks.chaos.stream import CHANNEL_OPTIONS
from spillway.local.errors import LocalError
from spillway.local.relay import Relay
from spillway.local.router_process import RouterProcess
from wire.spillway.v1 import fleet_pb2, fleet_pb2_grpc

NEAR, FAR = "near", "far"
HEALTHY_DEADLINE_S = 240.0  # a killed Ray cluster with a vLLM engine is back in 40 s
WATCH_INTERVAL_MS = 100


class SceneError(LocalError):
    """The scene is not as a fault needs it; the message says how."""


class ChaosSite(Protocol):
    """A site whose parts can be broken and mended. Its methods block."""

    name: str

    @property
    def dashboard(self) -> str:
        """host:port of its Ray dashboard; empty where it has none."""
        ...

    def addresses(self) -> list[str]:
        """Where its replicas serve (host:port)."""
        ...

    def engine_pids(self) -> list[int]:
        """The process of each engine."""
        ...

    def all_pids(self) -> list[int]:
        """Every process of the site."""
        ...

    @property
    def restarts(self) -> int:
        """How often engines were started again by `mend` or `replace`."""
        ...

    def replace(self) -> None:
        """Replace replicas in the orderly way."""
        ...

    def mend(self) -> None:
        """Have all replicas serve again."""
        ...


@runtime_checkable
class Gateway(ChaosSite, Protocol):
    """A site that is reached by its gateway alone."""

    gateway: RouterProcess

    def busiest(self) -> tuple[int, bool]:
        """The process of the busiest engine behind it, and whether it is the only one."""
        ...


@dataclass(slots=True)
class Scene:
    """Everything at hand to a fault."""

    near: ChaosSite
    far: ChaosSite
    relay: Relay  # in front of far's replica
    door: Relay | None  # in front of near's dashboard, whose port changes with its cluster
    liar: Liar
    router: RouterProcess
    open_router: Callable[[str], RouterProcess]  # another one, by its name
    channels: Sequence[grpc.aio.Channel]
    mode: Mode
    recites: bool  # the engines know the passage
    replicas: int
    spare: RouterProcess | None = None  # a second router, where a fault wants one
    struck: ChaosSite | None = None  # by what is going on
    stopped: list[int] = field(default_factory=list)  # processes that hang
    dead: str = ""  # how the names of endpoints begin that no new request should go to
    notes: list[str] = field(default_factory=list)  # what a fault has to say of itself
    broken: list[str] = field(default_factory=list)  # what it found that must not be

    async def state(self) -> fleet_pb2.FleetState:
        """What the router says of the fleet now. Raises grpc.aio.AioRpcError."""
        async with aclosing(self._states()) as states:
            async for state in states:
                return state
        raise SceneError("The router says nothing of its fleet.")

    async def until(
        self, holds: Callable[[fleet_pb2.FleetState], bool], wanted: str, deadline_s: float
    ) -> None:
        """Wait until the router's state is as `wanted`. Raises SceneError where it never is."""
        last = ""
        give_up = time.monotonic() + deadline_s
        while time.monotonic() < give_up:
            with contextlib.suppress(grpc.aio.AioRpcError):
                async with aclosing(self._states(give_up - time.monotonic())) as states:
                    async for state in states:
                        if holds(state):
                            return
                        last = _health(state)
            await asyncio.sleep(WATCH_INTERVAL_MS / 1000)
        raise SceneError(f"After {deadline_s:.0f} s it does not hold that {wanted}: {last}.")

    async def until_healthy(self) -> None:
        """Wait until every replica takes requests."""

        def healthy(state: fleet_pb2.FleetState) -> bool:
            # One that is back is suspect until its first request: it takes requests.
            up = [e for s in state.sites for e in s.endpoints if e.health != e.DOWN]
            if self.mode is Mode.LINK and not all(e.linked for e in up):
                return False
            # A gateway says how many of the replicas behind it are up.
            return sum(e.endpoints_up or 1 for e in up) >= self.replicas

        await self.until(healthy, f"{self.replicas} replicas are up", HEALTHY_DEADLINE_S)

    async def strike_busiest(self) -> int:
        """Choose the site that has the most of the load, and its busiest engine: its process."""
        state = await self.state()
        loads = {e.address: e.in_flight for s in state.sites for e in s.endpoints}
        if self.relay.address in loads:
            loads[self.relay.target] = loads[self.relay.address]
        places = {s.name: [loads.get(a, 0) for a in s.addresses()] for s in (self.near, self.far)}
        self.struck = site = max((self.near, self.far), key=lambda one: sum(places[one.name]))
        place = places[site.name].index(max(places[site.name]))
        address = site.addresses()[place] if site is self.near else self.relay.address
        self.dead = f"{site.name}/{address}"
        if isinstance(site, Gateway):
            pid, alone = await asyncio.to_thread(site.busiest)
            self.dead = self.dead if alone else ""  # the others behind it take requests still
            return pid
        return site.engine_pids()[place]

    async def set_drained(self, site: str, *, drained: bool) -> None:
        """Drain a site, or let it serve again."""
        async with grpc.aio.insecure_channel(self.router.address) as channel:
            fleet = fleet_pb2_grpc.FleetStub(channel)
            if drained:
                await fleet.Drain(fleet_pb2.DrainRequest(site=site))
            else:
                await fleet.Undrain(fleet_pb2.UndrainRequest(site=site))

    async def mend(self, site: ChaosSite) -> None:
        """Have a site serve again, and the relays lead to it."""
        await asyncio.to_thread(site.mend)
        self.lead()

    def lead(self) -> None:
        """Let the relays lead to where their sites are now."""
        self.relay.target = self.far.addresses()[0]
        if self.door is not None:
            self.door.target = self.near.dashboard

    async def _states(self, deadline_s: float = 10.0) -> AsyncGenerator[fleet_pb2.FleetState, None]:
        """From a connection of its own: the router may be another one than a moment ago."""
        async with grpc.aio.insecure_channel(self.router.address, CHANNEL_OPTIONS) as channel:
            call = fleet_pb2_grpc.FleetStub(channel).Watch(
                fleet_pb2.WatchFleetRequest(interval_ms=WATCH_INTERVAL_MS), timeout=deadline_s
            )
            try:
                async for state in call:
                    yield state
            finally:
                call.cancel()


def signal_all(pids: Sequence[int], number: signal.Signals) -> None:
    """Send a signal to processes that this run started; one that has ended needs none."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _health(state: fleet_pb2.FleetState) -> str:
    ends = [end for site in state.sites for end in site.endpoints]
    names = fleet_pb2.EndpointState.Health.Name
    return (
        ", ".join(f"{end.name} is {names(end.health)}" for end in ends) or "no endpoint is listed"
    )
