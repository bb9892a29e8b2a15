"""What a router asks and tells a Ray cluster beside where its replicas listen.

How many replicas of its application run, and how many shall; and which jobs there are. Jobs say by
their metadata what they have to do with lending: `spillway: borrower` is one that runs on what is
lent and ends when it is told to; `spillway: loan` is a loan itself, written down as a job without
work, so that it is known wherever the cluster is, and for as long.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from router.live.dashboard_http import DiscoveryError, ask_dashboard
from router.live.ray_dashboard import NOT_AN_ANSWER, target_address
from router.live.settings import SiteAccess
from router.policy.loan_step import Borrower, ServeReplica, ServeSight
from router.policy.units import ns

MARK: Final = "spillway"
BORROWER: Final = "borrower"
LOAN: Final = "loan"
TERMS: Final = "spillway_terms"
APPLICATION: Final = "spillway_application"

_OVER: Final = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})


@dataclass(frozen=True, slots=True)
class LoanRecord:
    """A loan as it is written down at a cluster."""

    job: str
    over: bool  # whether the job has ended, so that it can be deleted
    terms: str


@dataclass(frozen=True, slots=True)
class Jobs:
    """Those jobs of a cluster that have to do with lending."""

    borrowers: tuple[Borrower, ...]  # that run
    records: tuple[LoanRecord, ...]  # of one application


class RayCluster:
    """The cluster of one site, and in it the one deployment that its replicas belong to."""

    def __init__(self, http: aiohttp.ClientSession, access: SiteAccess, timeout_s: float) -> None:
        """`access` names a dashboard."""
        self._http = http
        self._access = access
        self._url = (access.dashboard_url or "").rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._application = access.application
        self._deployment = ""

    async def sight(self) -> ServeSight:
        """What Serve runs there. Raises DiscoveryError."""
        answer = await self._ask("GET", "/api/serve/applications/")
        try:
            name, deployment = _one_deployment(answer["applications"], self._access.application)
            self._application, self._deployment = name, str(deployment["name"])
            return _sight(self._access, answer, deployment)
        except NOT_AN_ANSWER as error:
            raise DiscoveryError(f"{self._url} is not a Ray dashboard: {error!r}") from error

    async def scale(self, replicas: int) -> None:
        """Has Serve run so many, after `sight`. Raises DiscoveryError."""
        path = f"/api/v1/applications/{self._application}/deployments/{self._deployment}/scale"
        await self._ask("POST", path, {"target_num_replicas": replicas})

    async def jobs(self) -> Jobs:
        """The jobs that borrow, and what is written down for the application of `sight`.

        Raises DiscoveryError.
        """
        answer = await self._ask("GET", "/api/jobs/")
        try:
            borrowers = tuple(_borrowers(answer))
            return Jobs(borrowers, tuple(_records(answer, self._application or "")))
        except NOT_AN_ANSWER as error:
            raise DiscoveryError(f"{self._url} is not a Ray dashboard: {error!r}") from error

    async def write_down(self, job: str, terms: str, shown: Mapping[str, str]) -> None:
        """Writes a loan down; `shown` is for people who list jobs. Raises DiscoveryError."""
        metadata = {
            **shown,
            MARK: LOAN,
            APPLICATION: self._application or "",
            TERMS: terms,
        }
        body = {
            "entrypoint": "true",
            "submission_id": job,
            "metadata": metadata,
            "entrypoint_num_cpus": 0,
        }
        await self._ask("POST", "/api/jobs/", body)

    async def strike_out(self, job: str) -> None:
        """Deletes what is written down, once its job is over. Raises DiscoveryError."""
        await self._ask("DELETE", f"/api/jobs/{job}")

    async def end(self, job: str) -> None:
        """Tells a job to end: SIGTERM, and SIGKILL after a time that is the job's to set.

        Raises DiscoveryError.
        """
        await self._ask("POST", f"/api/jobs/{job}/stop")

    async def _ask(self, method: str, path: str, body: object = None) -> Any:
        url = f"{self._url}{path}"
        return await ask_dashboard(self._http, url, self._timeout, method, body)


def _one_deployment(
    applications: Mapping[str, Any], application: str | None
) -> tuple[str, Mapping[str, Any]]:
    """The application that a site's replicas belong to, and its one deployment."""
    names = [application] if application else list(applications)
    if len(names) != 1 or names[0] not in applications:
        known = ", ".join(applications) or "none"
        raise DiscoveryError(
            f"its application is not known: of {known}, the fleet file has to name one"
        )
    deployments = list(applications[names[0]]["deployments"].values())
    if len(deployments) != 1:
        raise DiscoveryError(
            f"the application {names[0]} has {len(deployments)} deployments, and only one of one"
            " can run fewer replicas"
        )
    return names[0], deployments[0]


def _sight(
    access: SiteAccess, answer: Mapping[str, Any], deployment: Mapping[str, Any]
) -> ServeSight:
    names = {
        target["name"]: f"{access.site}/{target_address(target, access.host)}"
        for group in answer["target_groups"]
        if group["protocol"] == "gRPC"
        for target in group["targets"]
    }
    replicas = tuple(
        ServeReplica(
            endpoint=names.get(one.get("actor_name"), ""),
            node=one.get("node_id") or "",
            started_ns=ns(float(one["start_time_s"])),
            runs=one["state"] == "RUNNING",
        )
        for one in deployment["replicas"]
        if one["state"] != "STOPPING"
    )
    configured = deployment["deployment_config"].get("num_replicas")  # none where Serve autoscales
    if not isinstance(configured, int):
        raise DiscoveryError(
            "Serve scales its replicas by itself, and takes no other word on how many there are"
        )
    head = (answer.get("controller_info") or {}).get("node_id") or ""
    stopping = len(deployment["replicas"]) - len(replicas)
    target = int(deployment["target_num_replicas"])
    return ServeSight(configured, target, replicas, stopping, head)


def _borrowers(jobs: Any) -> Iterator[Borrower]:
    for one in jobs:
        marked = (one.get("metadata") or {}).get(MARK) == BORROWER
        if marked and one["status"] == "RUNNING" and one.get("submission_id"):
            started_ms = int(one.get("start_time") or 0)
            yield Borrower(str(one["submission_id"]), started_ms * 1_000_000)


def _records(jobs: Any, application: str) -> Iterator[LoanRecord]:
    for one in jobs:
        metadata = one.get("metadata") or {}
        is_ours = metadata.get(MARK) == LOAN and metadata.get(APPLICATION) == application
        if is_ours and one.get("submission_id"):
            over = one["status"] in _OVER
            yield LoanRecord(str(one["submission_id"]), over, str(metadata.get(TERMS, "")))
