"""Whether what a local fleet's engines run on is installed: Spillway itself needs none of it."""

from collections.abc import Iterable
from importlib.util import find_spec

from spillway.local.errors import LocalError


class MissingPackageError(LocalError):
    """The message names what is missing, and says what to do."""


def require_packages(names: Iterable[str]) -> None:
    """Raise MissingPackageError unless all of these can be imported; none of them is."""
    missing = [name for name in sorted(names) if find_spec(name) is None]
    if missing:
        raise MissingPackageError(
            f"A local fleet needs {' and '.join(missing)}, which this Python does not have: run "
            "`make setup` in a clone of Spillway and use its .venv."
        )
