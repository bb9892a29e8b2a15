"""API keys: their text, what is kept of each, and who shows one.

A key is `spw_ID_SECRET`. The id finds what is kept of it and is no secret; the secret has 256
random bits, of which only a digest is kept. So one fast hash is enough: there is nothing to guess,
and whoever reads the file of keys can use none of them. A tenant has several at a time, each with
the time from which and until which it is good, so that a new one overlaps the old.

An unknown id costs what a known one does, and the digests are compared in constant time.
"""

import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from hashlib import sha256
from typing import Final

KEY_PREFIX: Final = "spw_"
ID_BYTES: Final = 6
SECRET_BYTES: Final = 32

_TEXT: Final = re.compile(r"spw_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NOBODYS: Final = bytes(32)


class Fault(Enum):
    """Why a caller is not let in. The values are what clients are told as the reason."""

    MISSING = "CREDENTIALS_MISSING"
    UNKNOWN = "CREDENTIALS_UNKNOWN"
    EXPIRED = "CREDENTIALS_EXPIRED"
    NOT_YET = "CREDENTIALS_NOT_YET_VALID"
    NO_TENANT = "CREDENTIALS_OF_NO_TENANT"  # proved, but of nobody whom the fleet has


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key. Times are seconds since the Unix epoch; None: without bound."""

    id: str
    digest: bytes  # see digest_of
    tenant: str
    operator: bool = False
    not_before_unix_s: float | None = None
    not_after_unix_s: float | None = None
    reader: bool = False


def key_text(id_bytes: bytes, secret: str) -> str:
    """A key as its holder has it; `secret` is 43 characters of the alphabet of URLs."""
    return f"{KEY_PREFIX}{id_bytes.hex()}_{secret}"


def id_of(text: str) -> str:
    """The id of a key. ValueError for what is none."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError("not an API key")
    return match[1]


def digest_of(text: str) -> bytes:
    """What is kept of a key's whole text."""
    return sha256(text.encode()).digest()


class KeyRing:
    """All keys of a fleet."""

    def __init__(self, keys: Iterable[ApiKey] = ()) -> None:
        self._by_id = {key.id: key for key in keys}

    def __len__(self) -> int:
        return len(self._by_id)

    def find(self, text: str, unix_s: float) -> ApiKey | Fault:
        """The key whose text this is, at this time; or why it opens nothing.

        Who shows a whole key that is too old is told so: it proves that the key was theirs.
        """
        match = _TEXT.fullmatch(text)
        key = self._by_id.get(match[1]) if match else None
        same = hmac.compare_digest(digest_of(text), _NOBODYS if key is None else key.digest)
        if key is None or not same:
            return Fault.UNKNOWN
        if key.not_before_unix_s is not None and unix_s < key.not_before_unix_s:
            return Fault.NOT_YET
        if key.not_after_unix_s is not None and unix_s >= key.not_after_unix_s:
            return Fault.EXPIRED
        return key
