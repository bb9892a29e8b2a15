"""The file in which a router leaves what scaling has learned to the one that comes after it.

It is some 60 KB, and is replaced whole: whatever happens while it is written, what was there
before is there still. One that cannot be read is put aside, and demand is learned anew.
"""

import json
import logging
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from router.policy.scaling.memory import Learned, check
from wire.durable import replace_whole

FORMAT: Final = 1
BYTES_MAX: Final = 4 * 1024 * 1024
"""A thousand sites, with some tens of metered replicas each."""

_LEARNED: Final = TypeAdapter(Learned)

_log = logging.getLogger(__name__)


class ScalingFile:
    """One file of one router."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._trouble = ""

    def read(self) -> Learned | None:
        """What was learned; None where nothing is there that could be read."""
        try:
            with self._path.open("rb") as opened:
                content = opened.read(BYTES_MAX + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("%s cannot be read: %s; demand is learned anew", self._path, _said(error))
            return None
        try:
            return _learned(content)
        except ValueError as error:
            aside = self._path.with_name(f"{self._path.name}.unread")
            kept = f"it is kept as {aside.name}"
            try:
                self._path.replace(aside)
            except OSError as failed:
                kept = f"it could not be put aside: {_said(failed)}"
            said = "%s is not what this version has learned of demand (%s): %s, and demand is"
            _log.warning(f"{said} learned anew", self._path, error, kept)
            return None

    def write(self, learned: Learned) -> None:
        """Puts this in its place, whole; what fails is logged once, and tried the next time."""
        content = {"format": FORMAT, "learned": _LEARNED.dump_python(learned, mode="json")}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace_whole(self._path, json.dumps(content, separators=(",", ":")).encode())
        except OSError as error:
            trouble = _said(error)
            if trouble != self._trouble:
                _log.warning("what is learned of demand cannot be kept: %s", trouble)
            self._trouble = trouble
        else:
            self._trouble = ""


def _learned(content: bytes) -> Learned:
    """Raises ValueError with what is wrong."""
    if len(content) > BYTES_MAX:
        raise ValueError(f"it has more than {BYTES_MAX >> 20} MiB")
    read: Any
    try:
        read = json.loads(content)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(read, dict) or read.get("format") != FORMAT:
        raise ValueError(f"its format is not {FORMAT}")
    try:
        learned = _LEARNED.validate_python(read.get("learned"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{where}: {first['msg'].lower()}") from None
    check(learned)
    return learned


def _said(error: OSError) -> str:
    return error.strerror or str(error)
