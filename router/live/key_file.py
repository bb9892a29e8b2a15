"""The file of API keys: one a line, by digest, read again when it changes.

    acme 3f9c1e2b7a40 sha256:8d96...b1 not-after=2027-01-01T00:00:00Z
    acme 77a0c4d1e9f2 sha256:02cc...94 not-before=2026-12-01T00:00:00Z
    ops  1b22e0a9c3d4 sha256:5e1f...77 operator
    ops  93d1c07be5aa sha256:71a0...3c reader

Tenant, id, digest of the key, and what else there is to say; `#` begins a comment. The two lines of
acme are a rotation with overlap. There is nothing secret in the file.
"""

import logging
import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from router.policy.api_key import ApiKey, KeyRing

FILE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Some thirty thousand keys."""

_ROLES: Final = ("operator", "reader")
_WORDS_MAX: Final = 6
_ID: Final = re.compile(r"[0-9a-f]{12}")
_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")
_TIMES: Final = {"not-before": "not_before_unix_s", "not-after": "not_after_unix_s"}

_log = logging.getLogger(__name__)


class KeyFileError(ValueError):
    """A file of keys that cannot be used; the message says where and why."""


def read_keys(path: Path, tenants: Collection[str]) -> tuple[ApiKey, ...]:
    """The keys in a file, all of them of these tenants. Raises KeyFileError."""
    try:
        with path.open("rb") as opened:
            content = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise KeyFileError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(content) > FILE_BYTES_MAX:
        raise KeyFileError(f"{path}: expected at most {FILE_BYTES_MAX >> 20} MiB")
    try:
        text = content.decode("ascii")
    except UnicodeDecodeError:
        raise KeyFileError(f"{path}: expected ASCII text") from None
    found: dict[str, ApiKey] = {}
    for number, key in _keys(text, path, tenants):
        if key.id in found:
            raise KeyFileError(f"{path}:{number}: key {key.id} comes twice")
        found[key.id] = key
    return tuple(found.values())


def line_of(key: ApiKey) -> str:
    """The line of a key, without its end."""
    words = [key.tenant, key.id, f"sha256:{key.digest.hex()}"]
    words += ["operator"] if key.operator else ["reader"] if key.reader else []
    for word, field in _TIMES.items():
        unix_s = getattr(key, field)
        if unix_s is not None:
            said = datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="seconds")
            words.append(f"{word}={said.removesuffix('+00:00')}Z")
    return " ".join(words)


class KeyFile:
    """The keys of a file, as it was last read whole."""

    def __init__(self, path: Path, tenants: Collection[str]) -> None:
        """Raises KeyFileError."""
        self._path = path
        self._tenants = tenants
        self._seen: tuple[int, int, int] | None = self._stamp()
        self.ring = KeyRing(read_keys(path, tenants))

    def adopt(self, path: Path, ring: KeyRing) -> None:
        """The keys are these, of this file, which may have changed since they were read."""
        self._path = path
        self._seen = None
        self.ring = ring

    def look(self) -> None:
        """Reads it again if it has changed; what cannot be used changes nothing but the log."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self.ring = KeyRing(read_keys(self._path, self._tenants))
        except KeyFileError as error:
            _log.warning("the API keys stay as they were: %s", error)
        else:
            _log.info("read %d API keys", len(self.ring))

    def _stamp(self) -> tuple[int, int, int]:
        try:
            stat = self._path.stat()
        except OSError:
            return (0, 0, 0)
        return (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def _keys(text: str, path: Path, tenants: Collection[str]) -> Iterator[tuple[int, ApiKey]]:
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            yield number, _key(words, tenants)
        except ValueError as error:
            raise KeyFileError(f"{path}:{number}: {error}") from None


def _key(words: list[str], tenants: Collection[str]) -> ApiKey:
    """ValueError for a line that is none of a key; it never shows what stands there."""
    if not 3 <= len(words) <= _WORDS_MAX:
        raise ValueError("expected TENANT ID sha256:DIGEST, as `spillway keys new` prints it")
    tenant, key_id, digest, *more = words
    known = _DIGEST.fullmatch(digest)
    if not _ID.fullmatch(key_id) or known is None:
        raise ValueError("expected TENANT ID sha256:DIGEST, as `spillway keys new` prints it")
    if tenant not in tenants:
        raise ValueError(f"there is no tenant {tenant[:64]!r} in the fleet file")
    times: dict[str, float] = {}
    roles: list[str] = []
    for word in more:
        name, equals, value = word.partition("=")
        if word in _ROLES and not roles:
            roles.append(word)
        elif equals and name in _TIMES and _TIMES[name] not in times:
            times[_TIMES[name]] = unix_s_of(value)
        else:
            raise ValueError(
                "expected operator or reader, not-before=TIME or not-after=TIME behind a key"
            )
    is_operator, reads = "operator" in roles, "reader" in roles
    return ApiKey(key_id, bytes.fromhex(known[1]), tenant, is_operator, reader=reads, **times)


def unix_s_of(text: str) -> float:
    """A time as 2027-01-01T00:00:00Z, in seconds since the Unix epoch. ValueError for others."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise ValueError("expected a time with its zone, such as 2027-01-01T00:00:00Z")
    return at.timestamp()
