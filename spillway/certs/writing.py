"""Writes secrets: files of their owner alone, which replace no others."""

import contextlib
import os
from pathlib import Path

from spillway.certs.errors import CertsError


def write_new(files: dict[Path, bytes]) -> None:
    """Writes all of these files, which only their owner may read, or none of them.

    Raises CertsError where one is there already, or cannot be written.
    """
    written: list[Path] = []
    try:
        for path, content in files.items():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            written.append(path)
            with os.fdopen(descriptor, "wb") as opened:
                opened.write(content)
    except OSError as error:
        for path in written:
            with contextlib.suppress(OSError):
                path.unlink()
        if isinstance(error, FileExistsError):
            raise CertsError(f"{path}: there already; nothing is overwritten") from None
        raise CertsError(f"{path}: cannot be written: {error.strerror or error}") from error
