"""Drains a site through its router, and waits until nothing runs there."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from spillway.client import SyncClient
from wire.spillway.v1.fleet_pb2 import FleetState, SiteState

LOOK_S = 0.5
SAY_EVERY_S = 5.0


class DrainError(Exception):
    """The site is not drained; the message is one line."""


@dataclass(frozen=True, slots=True)
class Drained:
    """How a drain went."""

    open_before: int  # streams, when it began
    took_s: float


def site_of(state: FleetState, name: str) -> SiteState:
    """The site of this name. Raises DrainError where the router has none."""
    for site in state.sites:
        if site.name == name:
            return site
    known = ", ".join(site.name for site in state.sites)
    raise DrainError(f"the router knows no site {name}; it has {known}")


def look(client: SyncClient, name: str, deadline_s: float = 10.0) -> SiteState:
    """What the router says of a site now. Raises DrainError, and SpillwayError."""
    with closing(client.watch_fleet(LOOK_S, deadline_s)) as states:
        return site_of(next(states), name)


def drain(
    client: SyncClient, name: str, limit_s: float, say: Callable[[str], None] = lambda _: None
) -> Drained:
    """Keep turns away from a site, and wait until no stream of the router is open there.

    Begun again after an interruption, it waits for what is left.

    Raises:
        DrainError: it has no such site, or streams are still open after `limit_s`.
        SpillwayError: the router is not there, or does not let whoever asks drain.
    """
    begun_s, said_s = time.monotonic(), 0.0
    left = client.drain(name)
    before = left
    while time.monotonic() - begun_s < limit_s:
        left = look(client, name).open_streams
        if not left:
            return Drained(before, time.monotonic() - begun_s)
        if time.monotonic() - said_s > SAY_EVERY_S:
            said_s = time.monotonic()
            say(f"{name} drains: {left} streams are open there.")
        time.sleep(LOOK_S)
    raise DrainError(f"{name} still has {left} open streams after {limit_s:.0f} s; it drains on")
