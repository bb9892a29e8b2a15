"""One line of a batch, as OpenAI's batch format has it."""

import json
from hashlib import blake2b
from typing import Any, Final, NamedTuple

URLS: Final = ("/v1/chat/completions", "/v1/completions")
LINE_BYTES_MAX: Final = 16 << 20
"""A router takes no larger message by default."""

CUSTOM_ID_CHARS_MAX: Final = 512


class BadLineError(ValueError):
    """The line is no request of a batch; the message says what it has to be."""


class BatchLine(NamedTuple):
    """A request that waits to be sent."""

    custom_id: str
    url: str
    body: dict[str, Any]


def read_line(line: bytes) -> BatchLine:
    """What a line asks. Raises BadLineError."""
    found = as_object(line, LINE_BYTES_MAX)
    custom_id, body = found.get("custom_id"), found.get("body")
    if not isinstance(custom_id, str) or not 0 < len(custom_id) <= CUSTOM_ID_CHARS_MAX:
        raise BadLineError(f"custom_id is no text of 1 to {CUSTOM_ID_CHARS_MAX} characters")
    if found.get("method", "POST") != "POST":
        raise BadLineError(f"method is {found['method']!r}; there is POST")
    if found.get("url") not in URLS:
        raise BadLineError(f"url is {found.get('url')!r}; there are {' and '.join(URLS)}")
    if not isinstance(body, dict):
        raise BadLineError("body is no object")
    if body.get("stream"):
        raise BadLineError("body.stream is true, and the answer of a batch is one line")
    return BatchLine(custom_id, found["url"], body)


def as_object(line: bytes, bytes_max: int) -> dict[str, Any]:
    """A line that holds one JSON object. Raises BadLineError."""
    if len(line) > bytes_max:
        raise BadLineError(f"it has {len(line)} bytes or more, and may have {bytes_max}")
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadLineError(f"it is no JSON ({error})") from error
    if not isinstance(found, dict):
        raise BadLineError("it is no JSON object")
    return found


def mark(custom_id: str) -> bytes:
    """What stands for an id in a set of a million."""
    return blake2b(custom_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
