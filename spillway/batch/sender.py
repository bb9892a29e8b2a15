"""Sends one request of a batch, and tells an answer from a refusal that passes."""

import json
import math
from typing import Any, Final, NamedTuple
from uuid import uuid4

import aiohttp

from spillway.batch.errors import BatchError
from spillway.batch.line import BatchLine
from spillway.batch.results import ANSWER_BYTES_MAX
from wire.metadata import SLO_KEY

RETRY_AFTER_MAX_S: Final = 60.0
_PASSES: Final = frozenset({408, 429, 503})
"""The request is not to blame, nor is what it asked: it is asked again for as long as it takes."""

_MAY_PASS: Final = frozenset({499, 500, 502, 504})
"""What a request may be to blame for: after some attempts this is its answer."""

_UNAUTHENTICATED: Final = 401


class Answered(NamedTuple):
    """The result of a request, as its line has it."""

    result: dict[str, Any]
    is_final: bool  # False: another attempt might give a better one


class Later(NamedTuple):
    """Nothing was answered."""

    why: str
    retry_after_s: float
    is_refusal: bool  # somebody said so; False: nobody answers


class Sender:
    """Requests over one pool of connections to a server of OpenAI's API."""

    def __init__(
        self, http: aiohttp.ClientSession, base_url: str, headers: dict[str, str], deadline_s: float
    ) -> None:
        """`base_url` ends where the urls of a batch begin, with `/v1` or without."""
        self._http = http
        self._root = base_url.rstrip("/").removesuffix("/v1")
        self._headers = headers
        self._timeout = aiohttp.ClientTimeout(total=deadline_s, sock_connect=10.0)

    async def send(self, line: BatchLine) -> Answered | Later:
        """Raises BatchError for what would fail every request alike."""
        try:
            return await self._send(line)
        except aiohttp.ClientError as error:  # time ran out to connect: among them
            return self._unreached(error)
        except TimeoutError:  # an OSError as well
            total_s = self._timeout.total or 0.0
            return Answered(_error("timeout", f"no answer in {total_s:g} s"), is_final=False)
        except OSError as error:
            return self._unreached(error)

    def _unreached(self, error: Exception) -> Later:
        return Later(f"{self._root} is not reached: {error}", 1.0, is_refusal=False)

    async def _send(self, line: BatchLine) -> Answered | Later:
        body = json.dumps(line.body).encode()
        headers = {**self._headers, "Content-Type": "application/json"}
        async with self._http.post(
            self._root + line.url, data=body, headers=headers, timeout=self._timeout
        ) as response:
            raw = await response.content.read(ANSWER_BYTES_MAX + 1)
            while len(raw) <= ANSWER_BYTES_MAX and (more := await response.content.read(1 << 20)):
                raw += more
            if len(raw) > ANSWER_BYTES_MAX:
                large = _error("too_large", f"the answer has more than {ANSWER_BYTES_MAX} bytes")
                return Answered(large, is_final=True)
            status, said = response.status, _as_json(raw)
            if status in _PASSES:
                return Later(_message(said, status), _retry_after_s(response), is_refusal=True)
            told = _message(said, status)
            # What every request would be told: it is not for this one's line.
            if status == _UNAUTHENTICATED or (status == 400 and told.startswith(SLO_KEY)):
                raise BatchError(f"{self._root}: {told}")
            if said is None:
                raise BatchError(
                    f"{self._root}{line.url} answers {status} without JSON: is it OpenAI's API?"
                )
            return Answered(
                {
                    "id": f"batch_req_{uuid4().hex}",
                    "response": {
                        "status_code": status,
                        "request_id": response.headers.get("x-request-id", ""),
                        "body": said,
                    },
                    "error": None,
                },
                is_final=status not in _MAY_PASS,
            )


def _error(code: str, message: str) -> dict[str, Any]:
    return {
        "id": f"batch_req_{uuid4().hex}",
        "response": None,
        "error": {"code": code, "message": message},
    }


def _as_json(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return None


def _message(said: Any, status: int) -> str:
    error = said.get("error") if isinstance(said, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return message if isinstance(message, str) else f"HTTP {status}"


def _retry_after_s(response: aiohttp.ClientResponse) -> float:
    for header, unit_s in (("Retry-After-Ms", 1e-3), ("Retry-After", 1.0)):
        try:
            told_s = float(response.headers[header]) * unit_s
        except (KeyError, ValueError):
            continue
        if math.isfinite(told_s):
            return min(RETRY_AFTER_MAX_S, max(0.05, told_s))
    return 1.0
