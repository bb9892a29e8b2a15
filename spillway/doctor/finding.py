"""What a check found."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How bad it is; the worst of all is the exit code of `spillway doctor`."""

    OK = 0
    WARNING = 1  # it works, and will trouble somebody
    PROBLEM = 2  # something does not work, or is open to strangers


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    check: str
    level: Level
    what: str
    do: str = ""  # what mends it; empty where nothing has to be done


Check = Callable[[], Iterable[Finding]]
"""Looks, and tells what it found as it finds it. It changes nothing."""


def ok(check: str, what: str) -> Finding:
    """All is well."""
    return Finding(check, Level.OK, what)


def warning(check: str, what: str, do: str) -> Finding:
    """It works for now."""
    return Finding(check, Level.WARNING, what, do)


def problem(check: str, what: str, do: str) -> Finding:
    """It does not work, or must not stay so."""
    return Finding(check, Level.PROBLEM, what, do)
