"""Asks a Ray dashboard where the replicas of its Serve applications listen."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Any, Final

import aiohttp

from router.live.dashboard_http import DiscoveryError, ask_dashboard

_GRPC: Final = "gRPC"
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_PORT_MAX: Final = 65_535

NOT_AN_ANSWER: Final = (
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)
"""What reading an answer raises that is of another shape."""


class RayDashboard:
    """The dashboard of one cluster."""

    def __init__(
        self, http: aiohttp.ClientSession, url: str, timeout_s: float, application: str | None
    ) -> None:
        self._http = http
        self._url = f"{url.rstrip('/')}/api/serve/applications/"
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._application = application

    async def targets(self, host: str | None) -> frozenset[str]:
        """The host:port of every gRPC target; `host` replaces the address that Ray gives.

        Raises DiscoveryError.
        """
        answer = await ask_dashboard(self._http, self._url, self._timeout)
        try:
            return frozenset(grpc_targets(answer, self._application, host))
        except NOT_AN_ANSWER as error:
            raise DiscoveryError(f"{self._url} is not a Ray dashboard: {error!r}") from error


def grpc_targets(answer: Any, application: str | None, host: str | None) -> Iterator[str]:
    """The host:port of each gRPC target of an answer, of one application or of all of them.

    Raises one of NOT_AN_ANSWER for an answer of another shape.
    """
    for group in answer["target_groups"]:
        if group["protocol"] != _GRPC or application not in {None, group.get("app_name")}:
            continue
        for target in group["targets"]:
            yield target_address(target, host)


def target_address(target: Any, host: str | None) -> str:
    """The host:port of a target. Raises what NOT_AN_ANSWER names for another shape."""
    address, port = host or _host(str(target["ip"])), int(target["port"])
    if ":" in address and not address.startswith("["):
        address = f"[{address}]"
    if not 0 < port <= _PORT_MAX:
        raise ValueError(f"{port} is no port")
    return f"{address}:{port}"


def _host(text: str) -> str:
    """An address, or a name: gRPC would take other texts for sockets and for ways to find one.

    Raises ValueError.
    """
    if not _HOST.fullmatch(text):
        ipaddress.IPv6Address(text.removeprefix("[").removesuffix("]"))
    return text
