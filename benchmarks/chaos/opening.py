"""Opens scenes: of plain engine processes, or of a local fleet of Ray clusters."""

import asyncio
import contextlib
import random
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc.aio

from benchmarks.chaos.gateway_site import GatewaySite
from benchmarks.chaos.liar import Liar
from benchmarks.chaos.mode import Mode
from benchmarks.chaos.poison import POISON
from benchmarks.chaos.ray_site import RaySite
from benchmarks.chaos.scene import FAR, NEAR, ChaosSite, Scene
from benchmarks.chaos.stream import CHANNEL_OPTIONS
from router.live.settings import SiteAccess
from router.policy.fleet import Fleet, Site, SiteKind, SloClass
from router.policy.units import NS_PER_MS, NS_PER_S
from spillway.local.engine_site import EngineSite
from spillway.local.fleet import LocalFleet
from spillway.local.plan import FleetPlan, SitePlan
from spillway.local.ray_head import HOST
from spillway.local.relay import Relay
from spillway.local.reporter import Reporter
from spillway.local.router_process import RouterProcess
from spillway.local.site import APPLICATION
from wire.lease_keys import KEYS_ENV

SLO = SloClass("interactive", ttft_ns=2 * NS_PER_S, itl_ns=500 * NS_PER_MS)
SITES = (Site(NEAR, SiteKind.HOME), Site(FAR, SiteKind.HOME))
CONNECTIONS = 4
NEAR_ENGINES, FAR_ENGINES = 3, 1  # so that one is left after the worst of poisons
SLOTS = 32  # of each engine: a site alone has room for all


@contextlib.asynccontextmanager
async def engine_scene(
    itl_s: float,
    slots: int = SLOTS,
    say: Callable[[str], None] = lambda _: None,
    mode: Mode = Mode.PROXIED,
) -> AsyncIterator[Scene]:
    """Four engines that count, as plain processes, without Ray."""
    folder = Path(tempfile.gettempdir()) / f"chaos-{random.SystemRandom().getrandbits(24):06x}"
    arguments = {
        "model": "counting",
        "engine": "fake",
        "fake.itl_s": itl_s,
        "fake.max_running": slots,
        "fake.poison": POISON,
        "leases": "required",  # in every mode: who has neither lease nor pass is refused
    }
    lease_key = secrets.token_hex(32)
    env = {KEYS_ENV: lease_key}
    say("starting engines")
    near = EngineSite(NEAR, NEAR_ENGINES, arguments, folder, env)
    far = EngineSite(FAR, FAR_ENGINES, arguments, folder, env)
    try:
        await asyncio.to_thread(near.wait_until_serving)
        await asyncio.to_thread(far.wait_until_serving)
        access = SiteAccess(NEAR, endpoints=tuple(near.addresses()))
        async with _scene(near, far, access, None, folder, lease_key, mode, recites=False) as scene:
            yield scene
    finally:
        await asyncio.gather(asyncio.to_thread(near.stop), asyncio.to_thread(far.stop))


@contextlib.asynccontextmanager
async def ray_scene(
    serving: Mapping[str, Any], reporter: Reporter, mode: Mode = Mode.PROXIED
) -> AsyncIterator[Scene]:
    """Two Ray clusters with a replica each; `serving` holds arguments of serving.app:build."""
    serving = {**serving, "leases": "required"}
    plans = [SitePlan(site.name, site.kind, serving) for site in SITES]
    with LocalFleet(FleetPlan(tuple(plans), (SLO,)), reporter) as fleet:
        await asyncio.to_thread(fleet.start_sites)
        near, far = (
            RaySite(fleet, plan, lambda words: reporter.say("mend", words)) for plan in plans
        )
        async with Relay(near.dashboard) as door:
            access = SiteAccess(NEAR, f"http://{door.address}", APPLICATION, host=HOST)
            recites = serving.get("engine") != "fake"
            async with _scene(
                near, far, access, door, fleet.folder, fleet.lease_key, mode, recites=recites
            ) as scene:
                yield scene


@contextlib.asynccontextmanager
async def _scene(
    near: ChaosSite,
    far: ChaosSite,
    near_access: SiteAccess,
    door: Relay | None,
    folder: Path,
    lease_key: str,
    mode: Mode,
    *,
    recites: bool,
) -> AsyncIterator[Scene]:
    """The relays, the router and the connections to it, over two sites that serve."""
    fleet = Fleet(SITES, (SLO,), SLO.name)
    replicas = len(near.addresses()) + len(far.addresses())
    async with contextlib.AsyncExitStack() as stack:
        if mode is Mode.GATEWAYS:
            open_gateway = partial(_gateway, stack, folder, lease_key)
            near = await open_gateway(near, near_access)
            far = await open_gateway(far, None)
            near_access = SiteAccess(NEAR, endpoints=tuple(near.addresses()))
        relay = await stack.enter_async_context(Relay(far.addresses()[0]))
        liar = await stack.enter_async_context(Liar(far.addresses()[0]))
        ways = (near_access, SiteAccess(FAR, endpoints=(relay.address,)))
        access = tuple(replace(way, link=mode is not Mode.PROXIED) for way in ways)

        def open_router(name: str) -> RouterProcess:
            return RouterProcess(fleet, access, folder / name, lease_key)

        router = open_router("router")
        stack.push_async_callback(asyncio.to_thread, router.stop)
        channels = [
            await stack.enter_async_context(
                grpc.aio.insecure_channel(router.address, CHANNEL_OPTIONS)
            )
            for _ in range(CONNECTIONS)
        ]
        scene = Scene(
            near=near,
            far=far,
            relay=relay,
            door=door,
            liar=liar,
            router=router,
            open_router=open_router,
            channels=channels,
            mode=mode,
            recites=recites,
            replicas=replicas,
        )
        await scene.until_healthy()
        yield scene


async def _gateway(
    stack: contextlib.AsyncExitStack,
    folder: Path,
    lease_key: str,
    site: ChaosSite,
    access: SiteAccess | None,
) -> GatewaySite:
    """A router in front of a site, reached in this way or through a relay to its one replica."""
    relay = None
    if access is None:
        relay = await stack.enter_async_context(Relay(site.addresses()[0]))
        access = SiteAccess(site.name, endpoints=(relay.address,))
    fleet = Fleet((Site(site.name, SiteKind.HOME),), (SLO,), SLO.name)
    gateway = RouterProcess(fleet, (access,), folder / f"gateway-{site.name}", lease_key)
    stack.push_async_callback(asyncio.to_thread, gateway.stop)
    await asyncio.to_thread(gateway.wait_until_listening)
    return GatewaySite(site, gateway, relay)
