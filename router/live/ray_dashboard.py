"""Asks a Ray dashboard where the replicas of its Serve applications listen."""

import ipaddress
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import aiohttp

_ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024  # a cluster of a thousand replicas answers 2 MB
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


class DiscoveryError(Exception):
    """The dashboard cannot be reached or does not answer as one; the message is one sentence."""


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
        try:
            async with self._http.get(self._url, timeout=self._timeout) as response:
                response.raise_for_status()
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > _ANSWER_BYTES_MAX:
                        raise DiscoveryError(f"{self._url} answers over {_ANSWER_BYTES_MAX} bytes")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise DiscoveryError(f"{self._url} cannot be asked: {_reason(error)}") from error
        try:
            return frozenset(grpc_targets(json.loads(body), self._application, host))
        except NOT_AN_ANSWER as error:
            raise DiscoveryError(f"{self._url} is not a Ray dashboard: {error!r}") from error


def _reason(error: aiohttp.ClientError | TimeoutError) -> str:
    """Why nobody answered as a dashboard, without what only the library's authors read."""
    if isinstance(error, aiohttp.ClientResponseError):
        return f"the answer is {error.status} {error.message}".rstrip()
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error)
    return "no answer in time" if isinstance(error, TimeoutError) else repr(error)


def grpc_targets(answer: Any, application: str | None, host: str | None) -> Iterator[str]:
    """The host:port of each gRPC target of an answer, of one application or of all of them.

    Raises one of NOT_AN_ANSWER for an answer of another shape.
    """
    for group in answer["target_groups"]:
        if group["protocol"] != _GRPC or application not in {None, group.get("app_name")}:
            continue
        for target in group["targets"]:
            address, port = host or _host(str(target["ip"])), int(target["port"])
            if ":" in address and not address.startswith("["):
                address = f"[{address}]"
            if not 0 < port <= _PORT_MAX:
                raise ValueError(f"{port} is no port")
            yield f"{address}:{port}"


def _host(text: str) -> str:
    """An address, or a name: gRPC would take other texts for sockets and for ways to find one.

    Raises ValueError.
    """
    if not _HOST.fullmatch(text):
        ipaddress.IPv6Address(text.removeprefix("[").removesuffix("]"))
    return text
