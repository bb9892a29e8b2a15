"""A fleet to do drills on: two sites of engines that count, a relay before one, and a router.

Everything is a plain process of this machine under a keeper: it starts in seconds, needs no Ray,
and is gone when the drill is, however that ends.
"""

import asyncio
import contextlib
import random
import secrets
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from router.live.settings import RouterSettings, SiteAccess, SiteTls, StoreSettings, TlsSettings
from router.policy.fleet import Fleet, Price, Site, SiteKind, SloClass
from router.policy.units import NS_PER_MS, NS_PER_S
from spillway.client import Client, SpillwayError
from spillway.client.tls import ClientTls
from spillway.local.engine_site import EngineSite
from spillway.local.errors import LocalError
from spillway.local.relay import Relay
from spillway.local.router_process import RouterProcess
from spillway.local.store_server import StoreServer
from wire.lease_keys import KEYS_ENV
from wire.spillway.v1.fleet_pb2 import EndpointState, FleetState, SiteState

NEAR, FAR = "near", "far"
ITL_S = 0.01
SLOTS = 32  # of each engine: a site alone has room for all
FEW_SLOTS = 6  # of near, where some streams have to go to far
READY_S = 60.0
LOOK_S = 0.2
SLO = SloClass("interactive", ttft_ns=2 * NS_PER_S, itl_ns=500 * NS_PER_MS)
SHARED = Price(metered_usd_per_replica_hour=1.0, budget_usd_per_hour=10_000.0)
ROUTER_NAME = "router.drill.test"


class SceneError(LocalError):
    """The fleet of a drill does not come up; the message says why."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a drill needs of its fleet beyond the usual."""

    certificates: bool = False
    store: bool = False
    leases: bool = False


class Certificates:
    """An authority of the drill's own, and what it made."""

    def __init__(self, folder: Path) -> None:
        from spillway.certs.authority import Authority  # noqa: PLC0415 - for one drill alone

        self.folder = folder
        long_ago = datetime.now(UTC) - timedelta(days=2)
        self._authority = Authority.create(folder, "Spillway drill", 30, long_ago)
        self._made = 0

    @property
    def authority(self) -> Path:
        """Its certificate."""
        from spillway.certs.authority import CERTIFICATE  # noqa: PLC0415

        return self.folder / CERTIFICATE

    def make(self, name: str, lasts_s: float = 86_400.0) -> tuple[Path, Path]:
        """A certificate that ends in so many seconds, within a day, and its key."""
        from spillway.certs.issuing import issue  # noqa: PLC0415

        self._made += 1
        begins = datetime.now(UTC) - timedelta(days=1) + timedelta(seconds=lasts_s)
        stem = self.folder / f"{name}-{self._made}"
        return issue(self._authority, [name], stem, 1, begins)

    def replace(self, name: str, old: tuple[Path, Path], lasts_s: float = 86_400.0) -> None:
        """Put a new one in the place of an old one, as whoever renews certificates does."""
        for new, before in zip(self.make(name, lasts_s), old, strict=True):
            new.replace(before)


@dataclass(slots=True)
class Scene:
    """Everything at hand to a drill."""

    near: EngineSite
    far: EngineSite
    relay: Relay  # in front of far
    router: RouterProcess
    client: Client
    folder: Path
    certificates: Certificates | None = None
    far_files: tuple[Path, Path] | None = None  # far's certificate and key
    store: StoreServer | None = None

    async def state(self) -> FleetState | None:
        """What the router says; None while it says nothing."""
        try:
            async with aclosing(self.client.watch_fleet(deadline_s=5.0)) as states:
                async for state in states:
                    return state
        except SpillwayError:
            pass
        return None

    async def until(self, holds: Callable[[FleetState], bool], within_s: float) -> float | None:
        """How many seconds it took until the router's state was so; None where it never was."""
        begun_s = time.monotonic()
        while time.monotonic() - begun_s < within_s:
            state = await self.state()
            if state is not None and holds(state):
                return time.monotonic() - begun_s
            await asyncio.sleep(LOOK_S)
        return None

    async def clock_ahead_s(self) -> float | None:
        """How far the clock of far's engine is ahead of ours, as `spillway doctor` measures it."""
        from spillway.probing.site import ask_site  # noqa: PLC0415

        way = SiteAccess(FAR, endpoints=tuple(self.far.addresses()))
        found = await ask_site(way, RouterSettings())
        ahead = [one.clock_ahead_ns for one in found.reached if one.clock_ahead_ns is not None]
        return ahead[0] / 1e9 if ahead else None


def site_in(state: FleetState, name: str) -> SiteState:
    """A site of a state."""
    return next(site for site in state.sites if site.name == name)


def takes_turns(state: FleetState, name: str) -> bool:
    """Whether any endpoint of a site is up, or is tried by one request before the rest."""
    return any(one.health != EndpointState.DOWN for one in site_in(state, name).endpoints)


@contextlib.asynccontextmanager
async def local_scene(kind: Kind) -> AsyncIterator[Scene]:
    """The fleet, once both sites take turns. Raises LocalError where it does not come up."""
    name = f"drill-{random.SystemRandom().getrandbits(24):06x}"
    with tempfile.TemporaryDirectory(prefix="spillway-drill-") as kept:
        folder, files = Path(tempfile.gettempdir()) / name, Path(kept)
        async with contextlib.AsyncExitStack() as stack:
            yield await _opened(stack, kind, folder, files)


async def _opened(stack: contextlib.AsyncExitStack, kind: Kind, folder: Path, files: Path) -> Scene:
    certificates = Certificates(files / "tls") if kind.certificates else None
    lease_key = secrets.token_hex(32) if kind.leases else ""
    env = {KEYS_ENV: lease_key} if lease_key else {}
    far_files = certificates.make(_identity(FAR)) if certificates else None
    near_files = certificates.make(_identity(NEAR)) if certificates else None
    sites = []
    for site, own in ((NEAR, near_files), (FAR, far_files)):
        slots = FEW_SLOTS if kind.store and site == NEAR else SLOTS
        arguments = _arguments(slots, kind, certificates, own)
        one = EngineSite(site, 1, arguments, folder, env)
        stack.push_async_callback(asyncio.to_thread, one.stop)
        sites.append(one)
    near, far = sites
    for one in sites:
        await asyncio.to_thread(one.wait_until_serving)
    store = None
    if kind.store:
        store = StoreServer(files)
        stack.push_async_callback(asyncio.to_thread, store.kill)
        await asyncio.to_thread(store.start)
    relay = await stack.enter_async_context(Relay(far.addresses()[0]))
    settings = _settings(certificates, store)
    ways = (
        _way(NEAR, near.addresses()[0], certificates),
        _way(FAR, relay.address, certificates),
    )
    router = RouterProcess(_fleet(kind), ways, folder / "router", lease_key, settings)
    stack.push_async_callback(asyncio.to_thread, router.stop)
    tls = ClientTls(certificates.authority, server_name=ROUTER_NAME) if certificates else None
    client = await stack.enter_async_context(Client(router.address, tls=tls))
    scene = Scene(near, far, relay, router, client, files, certificates, far_files, store)
    up = await scene.until(lambda s: all(takes_turns(s, n) for n in (NEAR, FAR)), READY_S)
    if up is None:
        raise SceneError(f"The fleet does not come up: {router.output.strip()[-300:]}")
    return scene


def _fleet(kind: Kind) -> Fleet:
    """Both sites are home, so that each has its part of the load; a budget needs a rented one."""
    far = Site(FAR, SiteKind.RENTED, price=SHARED) if kind.store else Site(FAR, SiteKind.HOME)
    return Fleet((Site(NEAR, SiteKind.HOME), far), (SLO,), SLO.name)


def _arguments(
    slots: int, kind: Kind, certificates: Certificates | None, own: tuple[Path, Path] | None
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "model": "counting",
        "engine": "fake",
        "fake.itl_s": ITL_S,
        "fake.max_running": slots,
    }
    if kind.leases:
        found["leases"] = "required"
    if certificates is not None and own is not None:
        found |= {
            "certificate": own[0],
            "key": own[1],
            "authority": certificates.authority,
            "accept": ROUTER_NAME,
        }
    return found


def _way(site: str, address: str, certificates: Certificates | None) -> SiteAccess:
    tls = SiteTls(_identity(site), certificates.authority) if certificates else None
    return SiteAccess(site, endpoints=(address,), tls=tls, link=False)


def _settings(certificates: Certificates | None, store: StoreServer | None) -> RouterSettings:
    tls = TlsSettings()
    if certificates is not None:
        certificate, key = certificates.make(ROUTER_NAME)
        tls = TlsSettings(certificate, key, certificates.authority)
    url = store.url if store is not None else None
    return RouterSettings(tls=tls, store=StoreSettings(url=url))


def _identity(site: str) -> str:
    return f"{site}.drill.test"
