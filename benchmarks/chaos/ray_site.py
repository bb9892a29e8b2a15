"""A site that is a Ray cluster of its own, with engines behind Serve: what a fleet is made of."""

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.chaos.listening import listening_ports
from spillway.local.descendants import descendants
from spillway.local.errors import LocalError
from spillway.local.fleet import LocalFleet
from spillway.local.plan import SitePlan
from spillway.local.site import APPLICATION, APPLICATION_DEADLINE_S, LocalSite, serve_config
from spillway.ray_serve import RayServeError

POLL_INTERVAL_S = 0.5
_REPLICA = b"ray::ServeReplica"
_ENGINE = b"VLLM::EngineCore"


class RaySite:
    """One site of a local fleet; see benchmarks.chaos.scene.ChaosSite."""

    def __init__(self, fleet: LocalFleet, plan: SitePlan, say: Callable[[str], None]) -> None:
        self.name = plan.name
        self._fleet = fleet
        self._plan = plan
        self._say = say
        self._version = 0

    @property
    def _site(self) -> LocalSite:
        return self._fleet.sites[self.name]

    @property
    def dashboard(self) -> str:
        """host:port of its dashboard."""
        return self._site.ports.dashboard_url.removeprefix("http://")

    def addresses(self) -> list[str]:
        """Where its replicas serve, by Serve's list."""
        return self._site.replica_addresses()

    def engine_pids(self) -> list[int]:
        """The process of each engine."""
        return engine_pids(self._site)

    def all_pids(self) -> list[int]:
        """Every process of the cluster."""
        return [pid for pid, _ in descendants(self._site.kept.pid)]

    @property
    def restarts(self) -> int:
        """Serve restarts what ends, and counts for itself."""
        return 0

    def replace(self) -> None:
        """Have Serve replace the replicas: a new version of the application is deployed."""
        self._version += 1
        config = serve_config(self._plan, self._site.ports)
        arguments = config["applications"][0]["args"]
        arguments["env"] = {**arguments.get("env", {}), "CHAOS_VERSION": str(self._version)}
        self._site.serve.deploy(config)
        self._site.serve.wait_until_running(APPLICATION, APPLICATION_DEADLINE_S)

    def mend(self) -> None:
        """Have all replicas serve; a cluster that has ended is started again, on other ports."""
        if not self._site.kept.running:
            self._site.stop()
            self._fleet.launch_site(self._plan).start(self._say)
        give_up = time.monotonic() + APPLICATION_DEADLINE_S
        while not self._is_whole():
            if time.monotonic() > give_up or not self._site.kept.running:
                raise LocalError(f"Site {self.name} is not whole again.")
            time.sleep(POLL_INTERVAL_S)

    def _is_whole(self) -> bool:
        """Whether Serve has replaced what died; for some seconds it does not know of a death."""
        wanted = self._plan.replicas
        try:
            status = self._site.serve.applications().get(APPLICATION)
            listed = len(self.addresses())
        except RayServeError:
            return False
        running = status is not None and status.status == "RUNNING"
        return running and listed == len(engine_pids(self._site)) == wanted


def engine_pids(site: LocalSite) -> list[int]:
    """The process of each engine of a site: vLLM's own, or the replica's where that is it."""
    return _engines_below(site.kept.pid, site)


def engines_by_port(site: LocalSite) -> dict[int, int]:
    """The process of each engine of a site by the port that its replica serves at."""
    found = {}
    for address in site.replica_addresses():
        port = int(address.rpartition(":")[2])
        for replica in _commanded(site.kept.pid, _REPLICA):
            if port in listening_ports(replica):
                found[port] = next(iter(_engines_below(replica, site)), replica)
    return found


def _engines_below(root: int, site: LocalSite) -> list[int]:
    name = _REPLICA if site.plan.serving.get("engine") == "fake" else _ENGINE
    return _commanded(root, name)


def _commanded(root: int, name: bytes) -> list[int]:
    return [pid for pid, _ in descendants(root) if _command(pid).startswith(name)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it ended meanwhile
        return b""
