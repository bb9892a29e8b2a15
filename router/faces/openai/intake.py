"""Reads the bodies of requests, within bounds."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from aiohttp import web
from pydantic import BaseModel, ValidationError

from router.faces.openai.errors import ApiError, of_validation

M = TypeVar("M", bound=BaseModel)

_BODY_TIMEOUT_S: Final = 60.0
_LONG_BYTES: Final = 256 * 1024
"""Bodies from this size on are read as JSON beside the event loop."""

_RETRY_AFTER_S: Final = 1.0


class Intake:
    """Counts what is open, and what of it is still being sent here."""

    def __init__(self, requests_max: int, body_bytes_max: int, bytes_max: int) -> None:
        self._requests_max = requests_max
        self._body_bytes_max = body_bytes_max
        self._bytes_max = bytes_max
        self._requests = 0
        self._bytes = 0
        self.idle = asyncio.Event()
        self.idle.set()

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Counts a request for as long as it is open; ApiError where there are too many."""
        if self._requests >= self._requests_max:
            raise _overloaded(f"{self._requests} requests are open, the most that are taken")
        self._requests += 1
        self.idle.clear()
        try:
            yield
        finally:
            self._requests -= 1
            if not self._requests:
                self.idle.set()

    async def read(self, request: web.Request, model: type[M]) -> M:
        """The body, read and checked. Raises ApiError for what is none of this kind."""
        if request.content_type != "application/json":
            raise ApiError(415, "the body must be sent as application/json")
        if request.headers.get("Content-Encoding", "identity") != "identity":
            raise ApiError(415, "the body must not be compressed")
        body = await self._body(request)
        try:
            if len(body) > _LONG_BYTES:
                return await asyncio.to_thread(model.model_validate_json, body)
            return model.model_validate_json(body)
        except ValidationError as error:
            raise of_validation(error) from error

    async def _body(self, request: web.Request) -> bytes:
        most = self._body_bytes_max
        if (request.content_length or 0) > most:
            raise ApiError(413, f"the body has more than {most} bytes")
        room = most if request.content_length is None else request.content_length
        if self._bytes + room > self._bytes_max:
            raise _overloaded("the bodies that are being sent here are too large together")
        self._bytes += room
        body = bytearray()
        try:
            async with asyncio.timeout(_BODY_TIMEOUT_S):
                while chunk := await request.content.readany():
                    body += chunk
                    if len(body) > most:
                        raise ApiError(413, f"the body has more than {most} bytes")
        except TimeoutError as error:
            raise ApiError(408, f"the body did not come in {_BODY_TIMEOUT_S:g} s") from error
        finally:
            self._bytes -= room
        return bytes(body)


def _overloaded(message: str) -> ApiError:
    return ApiError(
        429,
        message,
        kind="rate_limit_error",
        code="rate_limit_exceeded",
        retry_after_s=_RETRY_AFTER_S,
    )
