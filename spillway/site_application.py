"""The serving application of a site: deployed, looked at, removed, beside what else runs there.

A cluster is told through its dashboard which applications it shall run, all at once: whoever is
left out is removed. So each change here starts from what the cluster says it runs, and puts back
all applications but ours as they are.
"""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from serving.serve_environment import GRPC_SERVICES
from serving.settings import read_settings
from spillway.ray_serve import ApplicationStatus, RayServe

IMPORT_PATH = "serving.app:build"
KEPT_OPTIONS = ("proxy_location", "http_options", "grpc_options", "target_capacity")
"""Of a Serve instance that runs: they cannot be changed, and are to be given as they are."""


class SiteApplicationError(Exception):
    """The cluster cannot run the application as it is; the message is one line that says why."""


@dataclass(frozen=True, slots=True)
class SiteApplication:
    """The serving application, by its name, on the cluster behind a dashboard."""

    serve: RayServe
    name: str

    def deploy(
        self, arguments: Mapping[str, Any], runtime_env: Mapping[str, Any] | None = None
    ) -> bool:
        """Ask for the application with these arguments of serving.app:build.

        The answer is whether anything had to be asked: False where it runs just so.

        Raises:
            SettingsError: the replicas would refuse the arguments.
            RayServeError: the dashboard cannot be reached, or refuses.
            SiteApplicationError: Serve runs there without what the application needs, or another
                application of this name.
        """
        wanted = _application(self.name, plain_arguments(arguments), runtime_env or {})
        details = self.serve.details()
        found = details["applications"].get(self.name, {})
        self._require_ours(found)
        if found.get("deployed_app_config") == wanted and found.get("status") == "RUNNING":
            return False
        _require_grpc(details, self.serve.dashboard_url)
        self.serve.deploy(_config(details, self.name, [wanted]))
        return True

    def changes(
        self, arguments: Mapping[str, Any], runtime_env: Mapping[str, Any] | None = None
    ) -> list[str]:
        """What `deploy` would ask for, a line each; empty where it runs just so.

        Raises:
            SettingsError, RayServeError, SiteApplicationError: as `deploy`.
        """
        wanted = _application(self.name, plain_arguments(arguments), runtime_env or {})
        details = self.serve.details()
        found = details["applications"].get(self.name, {})
        self._require_ours(found)
        known = found.get("deployed_app_config") or {}
        if known == wanted and found.get("status") == "RUNNING":
            return []
        _require_grpc(details, self.serve.dashboard_url)
        if not known:
            return [f"deploy {self.name}", *_differences("", {}, wanted["args"])]
        lines = list(_differences("", known.get("args") or {}, wanted["args"]))
        if known.get("runtime_env", {}) != wanted.get("runtime_env", {}):
            lines.append("another runtime environment: every replica is replaced")
        return lines or [f"deploy {self.name} again: it is {found.get('status', 'not there')}"]

    def wait_until_serving(
        self,
        deadline_s: float,
        on_status: Callable[[ApplicationStatus], None],
        on_missing: Callable[[], None] = lambda: None,
    ) -> list[str]:
        """Wait until it serves; the addresses of its replicas' gRPC ports.

        `on_missing` hears each look at which it is not listed, or is being deleted: whoever else
        told the cluster at the same time which applications it shall run may have left it out.

        Raises:
            RayServeError: it failed, or does not serve after `deadline_s` seconds.
            SiteApplicationError: it runs, and no client can reach it.
        """
        self.serve.wait_until_running(self.name, deadline_s, on_status, on_missing)
        targets = self.targets()
        status = self.status()
        if status and status.replicas_running and not targets:
            raise SiteApplicationError(
                f"{self.name} runs at {self.serve.dashboard_url}, but its replicas open no port:"
                " start the cluster's nodes with RAY_SERVE_ENABLE_DIRECT_INGRESS=1"
            )
        return targets

    def status(self) -> ApplicationStatus | None:
        """What the cluster says of it; None where it is not deployed."""
        return self.serve.applications().get(self.name)

    def targets(self) -> list[str]:
        """The addresses (host:port) of its replicas, as Ray lists them."""
        return self.serve.grpc_targets(self.name)

    def remove(self) -> bool:
        """Ask for the application to end, and for nothing else to. False where it is not there.

        Raises:
            RayServeError: the dashboard cannot be reached, or refuses.
            SiteApplicationError: somebody deployed it in another way, and must remove it so.
        """
        details = self.serve.details()
        found = details["applications"].get(self.name)
        if found is None:
            return False
        self._require_ours(found)
        self.serve.deploy(_config(details, self.name, []))
        return True

    def _require_ours(self, found: Mapping[str, Any]) -> None:
        """Raises SiteApplicationError where another application has the name."""
        where = f"{self.name} at {self.serve.dashboard_url}"
        if found and found.get("source") != "declarative":
            raise SiteApplicationError(
                f"{where} was deployed by `serve run` or by a program: remove it there, or name"
                " ours otherwise (--application, or ray.application in the fleet file)"
            )
        path = (found.get("deployed_app_config") or {}).get("import_path", IMPORT_PATH)
        if path != IMPORT_PATH:
            raise SiteApplicationError(
                f"{where} is another application, of {path}: it is left alone; name ours"
                " otherwise (--application, or ray.application in the fleet file)"
            )


def plain_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of serving.app:build without dotted names and text that stands for something else.

    Raises:
        SettingsError: the replicas would refuse them.
    """
    read = read_settings(deepcopy(dict(arguments)))
    return read.model_dump(mode="json", exclude_unset=True)


def _application(
    name: str, arguments: dict[str, Any], runtime_env: Mapping[str, Any]
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": name,
        "route_prefix": f"/{name}",  # replicas are reached by their own ports, and "/" may be taken
        "import_path": IMPORT_PATH,
        "args": arguments,
        # A router that lends replicas has Serve run fewer, unless Serve itself says how many.
        "external_scaler_enabled": "autoscale" not in arguments,
    }
    return {**found, "runtime_env": dict(runtime_env)} if runtime_env else found


def _differences(above: str, known: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    for key in sorted({*known, *wanted}):
        path, before, after = f"{above}{key}", known.get(key), wanted.get(key)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _differences(f"{path}.", before, after)
        elif key not in wanted:
            yield f"- {path}={before}"
        elif key not in known:
            yield f"+ {path}={after}"
        elif before != after:
            yield f"  {path}: {before} -> {after}"


def _config(details: Mapping[str, Any], name: str, ours: list[dict[str, Any]]) -> dict[str, Any]:
    """A Serve config: what runs there as it is, without the application `name`, and `ours`."""
    others = [
        one["deployed_app_config"]
        for other, one in details["applications"].items()
        if other != name and one.get("source") == "declarative" and one.get("deployed_app_config")
    ]
    options = {key: details[key] for key in KEPT_OPTIONS if details.get(key) is not None}
    started = {
        "proxy_location": "Disabled",  # routers come to the replicas' own ports
        "grpc_options": {"grpc_servicer_functions": [GRPC_SERVICES]},
    }
    return {**started, **options, "applications": [*others, *ours]}


def _require_grpc(details: Mapping[str, Any], dashboard_url: str) -> None:
    options = details.get("grpc_options")
    if options is not None and GRPC_SERVICES not in options.get("grpc_servicer_functions", ()):
        raise SiteApplicationError(
            f"Serve runs at {dashboard_url} without Spillway's gRPC services, which are given when"
            f" it starts: `serve shutdown` there, or start it with {GRPC_SERVICES} among its"
            " grpc_servicer_functions"
        )
