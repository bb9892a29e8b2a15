"""Certificates, keys and authorities from files, read again when the files change.

Nobody has to be told of a rotation: whoever makes a connection looks at the files first. What
cannot be used, such as a key that belongs to a certificate which is not written yet, is left alone,
and what was read before goes on to hold.
"""

import logging
import os
import ssl
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FILE_BYTES_MAX: Final = 1024 * 1024
"""A bundle of two hundred authorities fits."""

_log = logging.getLogger(__name__)

_Stamps = tuple[tuple[int, int, int], ...]


class TlsError(ValueError):
    """Files that cannot be used; the message is one line that names the file, and shows no key."""


@dataclass(frozen=True, slots=True)
class Material:
    """What a handshake needs, in PEM. `certificate` is a chain, its owner's own first."""

    certificate: bytes | None = None
    key: bytes | None = None
    authority: bytes | None = None  # whom to believe; one or several


class TlsFiles:
    """A certificate with its key, an authority, or both. Threads may share one."""

    def __init__(
        self,
        certificate: Path | None = None,
        key: Path | None = None,
        authority: Path | None = None,
    ) -> None:
        """Reads them. Raises TlsError."""
        if (certificate is None) != (key is None):
            raise TlsError("a certificate and its key belong together: give both, or neither")
        self.certificate = certificate
        self.key = key
        self.authority = authority
        self._paths = tuple(path for path in (certificate, key, authority) if path is not None)
        self._stamps = self._look()
        self._material = self._read()
        self._lock = threading.Lock()

    def current(self) -> Material:
        """What holds now: the very same object until the files have changed."""
        with self._lock:
            try:
                stamps = self._look()
                if stamps == self._stamps:
                    return self._material
                self._stamps = stamps  # also of what cannot be used, to say so once
                material = self._read()
                if self._look() != stamps:
                    self._stamps = ()  # written to while they were read
                    return self._material
            except TlsError as error:
                _log.warning("what was read before goes on to hold: %s", error)
                return self._material
            if material != self._material:
                self._material = material
                _log.info("rotated: %s", ", ".join(map(str, self._paths)))
            return self._material

    def _look(self) -> _Stamps:
        try:
            found = [os.stat(path) for path in self._paths]  # noqa: PTH116 - follows links
        except OSError as error:
            raise _unreadable(error.filename, error) from error
        return tuple((one.st_mtime_ns, one.st_size, one.st_ino) for one in found)

    def _read(self) -> Material:
        material = Material(*map(_content, (self.certificate, self.key, self.authority)))
        if self.certificate is not None:
            _check_pair(self.certificate, self.key)
        if material.authority is not None:
            _check_authority(self.authority, material.authority)
        return material


def _content(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        with path.open("rb") as opened:
            content = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise _unreadable(path, error) from error
    if len(content) > FILE_BYTES_MAX:
        raise TlsError(f"{path}: expected at most {FILE_BYTES_MAX // 1024} KiB of PEM")
    return content


def _check_pair(certificate: Path, key: Path | None) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Without a password it would ask at the terminal for that of a key that has one.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        raise TlsError(
            f"{certificate} and {key}: expected a certificate in PEM and its key without a"
            f" password ({error.reason or error})"
        ) from None
    except OSError as error:
        raise _unreadable(certificate, error) from error


def _check_authority(path: Path | None, content: bytes) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=content.decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise TlsError(f"{path}: expected certificates of authorities in PEM") from None


def _unreadable(path: object, error: OSError) -> TlsError:
    return TlsError(f"{path}: cannot be read: {error.strerror or error}")
