"""What a reload of the fleet file is, for the router that asks for one and whoever performs it.

A router does not read its fleet file itself: who started it does, with the loader that read it at
the start, and for all processes of the router at once. This is what the two say to each other.
"""

from dataclasses import dataclass
from typing import Protocol

from router.live.settings import RouterSettings, SiteAccess
from router.policy.fleet import Fleet


class ReloadError(Exception):
    """The reload is refused, whole, and nothing has changed; the message says why."""


@dataclass(frozen=True, slots=True)
class Change:
    """One key of the fleet file, as text; empty: there was, or is, none."""

    key: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload came to."""

    changes: tuple[Change, ...]
    digest: str  # SHA-256 of the file as it was read
    applied: bool


class Reloads(Protocol):
    """Whoever reads the fleet file for this router."""

    async def reload(self, *, dry_run: bool) -> Reloaded:
        """Reads it again, and has every process of the router go by it. Raises ReloadError."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What a fleet file says to one process."""

    fleet: Fleet
    access: tuple[SiteAccess, ...]
    settings: RouterSettings
    digest: str
