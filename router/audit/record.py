"""One record of the audit log: a line of JSON with the digest of the one before.

The digest is over the canonical form of everything else in the line: SHA-256 or, where there is a
secret, HMAC-SHA-256, which nobody can make who only may write the file.
"""

import hmac
import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

LINE_BYTES_MAX: Final = 64 * 1024
"""Of a record: a reload that changes some hundred keys."""

FIRST: Final = "0" * 64
"""What the first record has as the digest of the one before."""

_DIGEST_CHARS: Final = 64


class RecordError(ValueError):
    """A line is no record, or not what was written; the message says why."""


class TornError(RecordError):
    """What a process leaves that is killed while it writes: the beginning of a line.

    No such beginning is JSON, so that a record which somebody changed is none of these.
    """


@dataclass(frozen=True, slots=True)
class Head:
    """The last record of a chain: whoever has it knows of everything before it."""

    number: int = 0
    digest: str = FIRST


def sealed(head: Head, content: dict[str, Any], secret: bytes | None) -> tuple[bytes, Head]:
    """The line, with its end, that says `content` behind this head, and the head that it makes.

    RecordError for more than a line may have.
    """
    body = {
        **content,
        "number": head.number + 1,
        "previous": head.digest,
        "by": "sha256" if secret is None else "hmac-sha256",
    }
    digest = _digest(body, secret)
    line = canonical({**body, "digest": digest}) + b"\n"
    if len(line) > LINE_BYTES_MAX:
        raise RecordError(f"it has {len(line)} bytes, and may have {LINE_BYTES_MAX}")
    return line, Head(head.number + 1, digest)


def opened(line: bytes, secret: bytes | None) -> dict[str, Any]:
    """What a line says, its digest checked. RecordError for what nobody wrote like that.

    A record that is sealed with a secret cannot be checked without it, nor one that is not be
    believed where there is one. TornError for the beginning of a line.
    """
    if len(line) > LINE_BYTES_MAX:
        raise RecordError("is longer than any record")
    if not line.endswith(b"\n"):
        raise TornError("is cut off")
    try:
        body = json.loads(line)
    except (ValueError, RecursionError):
        raise TornError("is no JSON") from None
    if not isinstance(body, dict) or type(body.get("number")) is not int:
        raise RecordError("is no record")
    if not _is_digest(body.get("digest")) or not _is_digest(body.get("previous")):
        raise RecordError("has no digest")
    by = "sha256" if secret is None else "hmac-sha256"
    if body.get("by") != by:
        raise RecordError(
            "is sealed with a secret, which is needed to check it"
            if secret is None
            else "is not sealed with the secret"
        )
    try:
        same_form = canonical(body) + b"\n" == line
    except ValueError:
        same_form = False
    claimed = body.pop("digest")
    if not same_form or not hmac.compare_digest(claimed, _digest(body, secret)):
        raise RecordError("is not what was written: its digest is another")
    body["digest"] = claimed
    return body


def canonical(value: Any) -> bytes:
    """JSON in its one form: keys in order, no spaces, ASCII. ValueError for what is no JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii")


def _digest(body: dict[str, Any], secret: bytes | None) -> str:
    data = canonical(body)
    if secret is None:
        return sha256(data).hexdigest()
    return hmac.new(secret, data, sha256).hexdigest()


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) == _DIGEST_CHARS and value.isascii()
