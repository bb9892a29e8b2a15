"""Where the keys of leases come from: a file, or the environment. They are never shown.

The first key signs, all verify, so that keys can be replaced without a break: give the new one to
all as the second, then to all as the first, then leave the old one out.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

KEYS_ENV: Final = "SPILLWAY_LEASE_KEYS"
"""The keys themselves, separated by white space."""

KEYS_FILE_ENV: Final = "SPILLWAY_LEASE_KEY_FILE"
"""The path of a file with the keys, one a line."""

KEY_CHARS_MIN: Final = 32
"""128 bits, if they are hexadecimal digits."""

KEYS_MAX: Final = 8
_FILE_BYTES_MAX: Final = 16 * 1024


class LeaseKeyError(ValueError):
    """Keys that cannot be used; the message says where they were looked for, and shows none."""


def read_lease_keys(path: Path | None, environ: Mapping[str, str]) -> tuple[bytes, ...]:
    """The keys of this file, or else those that the environment names; none where nobody does.

    Raises LeaseKeyError.
    """
    if path is None and environ.get(KEYS_FILE_ENV):
        path = Path(environ[KEYS_FILE_ENV])
    if path is None:
        return _keys(environ.get(KEYS_ENV, ""), KEYS_ENV, needed=False)
    try:
        with path.open("rb") as opened:
            content = opened.read(_FILE_BYTES_MAX).decode("ascii")
    except OSError as error:
        raise LeaseKeyError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise LeaseKeyError(f"{path}: expected keys of letters and digits") from None
    return _keys(content, str(path), needed=True)


def _keys(text: str, where: str, *, needed: bool) -> tuple[bytes, ...]:
    keys = tuple(word.encode() for word in text.split())
    if any(len(key) < KEY_CHARS_MIN for key in keys):
        raise LeaseKeyError(f"{where}: expected keys of at least {KEY_CHARS_MIN} characters")
    if len(keys) > KEYS_MAX or (needed and not keys):
        raise LeaseKeyError(f"{where}: expected 1 to {KEYS_MAX} keys, found {len(keys)}")
    return keys
