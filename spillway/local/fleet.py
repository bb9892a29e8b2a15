"""A local fleet: its sites, started side by side, and a router in front of them."""

import random
import secrets
import tempfile
import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Self

from router.live.settings import SiteAccess
from spillway.local.fleet_file import way_to
from spillway.local.memory import require_memory
from spillway.local.packages import require_packages
from spillway.local.plan import FleetPlan, SitePlan
from spillway.local.ports import take_block
from spillway.local.reporter import Reporter
from spillway.local.router import LocalRouter
from spillway.local.site import LocalSite
from spillway.local.starting import Starting

# The path of a Unix socket has at most 107 characters. Ray adds up to 68 to its folder for the
# longest, /session_2026-11-28_17-34-35_707813_1234567/sockets/dash_MetricsHead; ours adds 25.
TEMPORARY_FOLDER_LENGTH_MAX = 107 - 68 - len("/spillway-012345/rented00")


class LocalFleet:
    """A fleet between its start and `stop()`, which the end of a `with` block calls."""

    def __init__(self, plan: FleetPlan, reporter: Reporter) -> None:
        self.plan = plan
        self.folder = _folder()
        self.sites: dict[str, LocalSite] = {}
        self.gateways: dict[str, LocalRouter] = {}  # by site
        self._router: LocalRouter | None = None
        self._reporter = reporter
        self.lease_key = secrets.token_hex(32)  # its own, and shown to nobody
        self._rng = random.SystemRandom()  # two fleets that start together must not draw alike

    @property
    def router(self) -> LocalRouter:
        """The router; RuntimeError before the start."""
        if self._router is None:
            raise RuntimeError("the fleet is not started")
        return self._router

    @property
    def address(self) -> str:
        """Where clients connect."""
        return self.router.address

    @property
    def openai_address(self) -> str:
        """Where clients of OpenAI's API connect."""
        return self.router.openai_address

    def start(self) -> None:
        """Start the sites, then the router, and wait until it sees every site.

        Raises:
            LocalError: the message is one sentence that says what to do.
        """
        with Starting(self.plan.listen) if self.plan.listen else nullcontext():
            self.start_sites()
            if self.plan.gateways:
                for site in self.plan.sites:
                    self.start_gateway(site)
        self.start_router(self.plan)

    def start_sites(self) -> None:
        """Start the sites side by side and wait until each serves.

        Raises:
            LocalError: see `start`.
        """
        require_packages(self.plan.packages)
        require_memory(self.plan.memory_bytes)
        for plan in self.plan.sites:
            self.launch_site(plan)
        with ThreadPoolExecutor(len(self.sites)) as pool:
            starts = [
                pool.submit(site.start, partial(self._reporter.say, name))
                for name, site in self.sites.items()
            ]
            try:
                done, _ = wait(starts, return_when=FIRST_EXCEPTION)
                for start in done:
                    start.result()
            except BaseException:
                self.stop()  # or the others would go on starting for minutes
                raise

    def start_router(self, plan: FleetPlan) -> None:
        """Start a router by this plan, in the place of one before, and wait until it sees all.

        Raises:
            LocalError: see `start`.
        """
        if self._router is not None:
            self._router.stop()
        gates = self.gateways
        ways = [
            SiteAccess(name, endpoints=(gates[name].address,)) if gates else way_to(site)
            for name, site in self.sites.items()
        ]
        self._router = self._launch("router", plan, ways)
        # A site that has ended since the start is not waited for: the others go on.
        alive = [site for site in plan.sites if self.sites[site.name].kept.running]
        self._router.wait_until_serving({s.name: 1 if gates else s.replicas for s in alive})
        self._reporter.say("router", f"ready at {self.address}")

    def start_gateway(self, site: SitePlan) -> None:
        """Start the router in front of a site, at the address of one before, and wait for it.

        Raises:
            LocalError: see `start`.
        """
        name, before = f"gateway-{site.name}", self.gateways.pop(site.name, None)
        plan = self.plan.gateway(site)
        if before is not None:
            plan = replace(plan, listen=before.address)
            before.stop()
        self.gateways[site.name] = self._launch(name, plan, [way_to(self.sites[site.name])])
        self.gateways[site.name].wait_until_serving({site.name: site.replicas})
        self._reporter.say(name, f"ready at {self.gateways[site.name].address}")

    def _launch(self, name: str, plan: FleetPlan, ways: Sequence[SiteAccess]) -> LocalRouter:
        self._reporter.say(name, "starting")
        block = take_block(self._rng)
        try:
            folder = self.folder / name
            return LocalRouter.launch(plan, ways, block, folder, self.lease_key)
        except BaseException:
            block.release()
            raise

    def launch_site(self, plan: SitePlan) -> LocalSite:
        """Start a site's Ray head, without waiting for it."""
        site = LocalSite(plan, self.folder / plan.name, self.lease_key)
        self.sites[plan.name] = site
        return site

    def stop(self) -> None:
        """End everything this fleet started, side by side; safe to call again."""
        stops = [site.stop for site in self.sites.values()]
        stops += [gateway.stop for gateway in self.gateways.values()]
        if self._router is not None:
            stops.append(self._router.stop)
        threads = [threading.Thread(target=stop) for stop in stops]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _folder() -> Path:
    """A name for the folder that the keepers make and remove."""
    base = Path(tempfile.gettempdir())
    if len(str(base)) > TEMPORARY_FOLDER_LENGTH_MAX:
        base = Path("/tmp")  # noqa: S108  (the name in it is random and its mode 0700)
    return base / f"spillway-{random.SystemRandom().getrandbits(24):06x}"
