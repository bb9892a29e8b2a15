"""Requests to a Ray dashboard, and answers of bounded size."""

import json
from typing import Any, Final

import aiohttp

_ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024  # a cluster of a thousand replicas answers 2 MB
_REFUSAL_CHARS_MAX: Final = 300


class DiscoveryError(Exception):
    """The dashboard cannot be reached or does not answer as one; the message is one sentence."""


async def ask_dashboard(
    http: aiohttp.ClientSession,
    url: str,
    within: aiohttp.ClientTimeout,
    method: str = "GET",
    body: object = None,
) -> Any:
    """The JSON of an answer; None where it is empty. Raises DiscoveryError."""
    answer = bytearray()
    try:
        async with http.request(method, url, json=body, timeout=within) as response:
            async for chunk in response.content.iter_any():
                answer += chunk
                if len(answer) > _ANSWER_BYTES_MAX:
                    raise DiscoveryError(f"{url} answers over {_ANSWER_BYTES_MAX} bytes")
            status, words = response.status, response.reason or ""
    except (aiohttp.ClientError, TimeoutError) as error:
        raise DiscoveryError(f"{url} cannot be asked: {_reason(error)}") from error
    if not 200 <= status < 300:
        said = " ".join(answer.decode(errors="replace").split())[:_REFUSAL_CHARS_MAX]
        why = f"the answer is {status} {words}".rstrip() + (f": {said}" if said else "")
        raise DiscoveryError(f"{url} cannot be asked: {why}")
    if not answer:
        return None
    try:
        return json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise DiscoveryError(f"{url} is not a Ray dashboard: {error!r}") from error


def _reason(error: aiohttp.ClientError | TimeoutError) -> str:
    """Why nobody answered as a dashboard, without what only the library's authors read."""
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or str(error.os_error)
    return "no answer in time" if isinstance(error, TimeoutError) else repr(error)
