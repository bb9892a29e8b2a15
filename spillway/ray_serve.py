"""What Ray Serve runs on one cluster, asked and told through the cluster's dashboard (REST)."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

from router.live.ray_dashboard import grpc_targets

ANSWER_BYTES_MAX = 16 * 1024 * 1024  # a cluster of a thousand replicas answers 2 MB
POLL_INTERVAL_S = 0.5
FAILED = frozenset({"DEPLOY_FAILED", "UNHEALTHY"})


class RayServeError(Exception):
    """The dashboard cannot be reached, refuses, or reports a failure; the message is one line."""


@dataclass(frozen=True, slots=True)
class ApplicationStatus:
    """One Serve application, as the dashboard reports it."""

    name: str
    status: str  # NOT_STARTED, DEPLOYING, RUNNING, DEPLOY_FAILED, UNHEALTHY, DELETING
    message: str = field(compare=False)
    replicas_running: int
    replicas_starting: int


class RayServe:
    """The Serve instance of the cluster whose dashboard is at `dashboard_url`."""

    def __init__(self, dashboard_url: str, timeout_s: float = 30.0) -> None:
        self.dashboard_url = dashboard_url.rstrip("/")
        self._timeout_s = timeout_s
        # A cluster is reached as it is named: not through a proxy meant for the internet.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def deploy(self, config: Mapping[str, Any]) -> None:
        """Ask for the applications of a Serve config, and for no others."""
        self._ask("PUT", config)

    def delete(self) -> None:
        """End Serve on the cluster, with all its applications."""
        self._ask("DELETE")

    def details(self) -> dict[str, Any]:
        """All that the dashboard says of Serve, as ray.serve.schema.ServeInstanceDetails has it."""
        try:
            details = json.loads(self._ask("GET"))
        except ValueError:
            details = None
        if not isinstance(details, dict):
            raise self._no_dashboard()
        return {"applications": {}, "target_groups": []} | details

    def applications(self) -> dict[str, ApplicationStatus]:
        """Every application by its name."""
        applications = self.details()["applications"]
        try:
            return {name: _status(name, one) for name, one in applications.items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise self._no_dashboard() from error

    def grpc_targets(self, application: str) -> list[str]:
        """The gRPC addresses (host:port) of the application's replicas, as their node knows them.

        The list lags: a dead replica stays in it for some seconds.
        """
        try:
            return list(grpc_targets(self.details(), application, host=None))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._no_dashboard() from error

    def wait_until_running(
        self,
        application: str,
        deadline_s: float,
        on_status: Callable[[ApplicationStatus], None] = lambda _: None,
        on_missing: Callable[[], None] = lambda: None,
    ) -> None:
        """Wait until the application serves; `on_status` hears its status whenever that changed.

        `on_missing` hears each look at which it is not listed or is being deleted.

        Raises:
            RayServeError: it failed, or does not serve after `deadline_s` seconds.
        """
        give_up = time.monotonic() + deadline_s
        status: ApplicationStatus | None = None
        while time.monotonic() < give_up:
            before, status = status, self.applications().get(application)
            if status is not None:
                if status != before:
                    on_status(status)
                if status.status == "RUNNING":
                    return
                if status.status in FAILED:
                    raise RayServeError(f"{application} failed: {_one_line(status.message)}")
            if status is None or status.status == "DELETING":
                on_missing()
            time.sleep(POLL_INTERVAL_S)
        state = f"it is {status.status}" if status else "it is not listed"
        raise RayServeError(f"{application} does not serve after {deadline_s:.0f} s: {state}")

    def wait_until_gone(
        self, application: str, deadline_s: float, on_kept: Callable[[], None] = lambda: None
    ) -> None:
        """Wait until the application is listed no more.

        `on_kept` hears each look at which it is listed and is not being deleted.

        Raises:
            RayServeError: it still is after `deadline_s` seconds.
        """
        give_up = time.monotonic() + deadline_s
        while (found := self.applications().get(application)) is not None:
            if time.monotonic() > give_up:
                raise RayServeError(f"{application} is still there after {deadline_s:.0f} s")
            if found.status != "DELETING":
                on_kept()
            time.sleep(POLL_INTERVAL_S)

    def _no_dashboard(self) -> RayServeError:
        return RayServeError(f"{self.dashboard_url} is not a Ray dashboard")

    def _ask(self, method: str, body: Mapping[str, Any] | None = None) -> bytes:
        request = urllib.request.Request(  # noqa: S310  (the scheme is the operator's)
            f"{self.dashboard_url}/api/serve/applications/",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                content: bytes = answer.read(ANSWER_BYTES_MAX)
                return content
        except urllib.error.HTTPError as error:
            reason = _one_line(error.read(ANSWER_BYTES_MAX).decode(errors="replace"))
            status = f"{error.code} {error.reason}".strip()  # a proxy's may have no words
            refusal = f"{self.dashboard_url} refuses ({status})"
            raise RayServeError(f"{refusal}: {reason}" if reason else refusal) from error
        except OSError as error:
            reason = str(getattr(error, "reason", error))
            raise RayServeError(f"{self.dashboard_url} cannot be reached: {reason}") from error
        except HTTPException as error:  # whoever is there does not speak HTTP
            raise self._no_dashboard() from error


def _status(name: str, details: Mapping[str, Any]) -> ApplicationStatus:
    deployments = details.get("deployments", {}).values()
    states = [replica["state"] for one in deployments for replica in one.get("replicas", ())]
    messages = [one.get("message", "") for one in deployments]
    message = next(filter(None, (*messages, details.get("message", ""))), "")
    running = states.count("RUNNING")
    return ApplicationStatus(name, details["status"], message, running, states.count("STARTING"))


def _one_line(text: str, length_max: int = 500) -> str:
    """The end of a long text, where a traceback says what went wrong."""
    joined = " ".join(text.split())
    return joined if len(joined) <= length_max else f"... {joined[-length_max:]}"
