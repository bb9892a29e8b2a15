"""A site's `lend` in a fleet file: its windows, and what of them cannot be meant."""

from collections.abc import Iterator
from typing import Any

from router.policy.lending import DAYS, MINUTES_OF_DAY, Lending, LendWindow
from spillway.fleet.kinds import time_of_day
from spillway.fleet.problem import KeyPath
from spillway.fleet.schema import SiteSection


def lending_of(site: SiteSection) -> Lending | None:
    """A site's schedule; None for one that never lends.

    It lists what Ray has there, and the endpoints given by hand.
    """
    if not site.lend:
        return None
    deployed = site.capacity.replicas if site.capacity else 1
    replicas = (deployed if site.ray else 0) + len(site.endpoints)
    return Lending(replicas, tuple(_window(one) for one in site.lend))


def lend_findings(site: SiteSection) -> Iterator[tuple[KeyPath, str]]:
    """What is wrong with it, each with its path below the site."""
    if "reclaim" in site.model_fields_set and site.kind != "home":
        yield ("reclaim",), "only home lends, and so only home takes back"
    lending = lending_of(site)
    if lending is None:
        return
    if site.kind != "home":
        yield ("lend",), "only home lends; a rented replica that is not needed is given back"
    for place, window in enumerate(lending.windows):
        if window.from_minute == MINUTES_OF_DAY:
            yield ("lend", place, "from"), "a day ends at 24:00; the next begins at 00:00"
        elif window.from_minute == window.until_minute:
            yield ("lend", place, "until"), "the same as from; a whole day is 00:00 until 24:00"
        if len(set(window.days)) < len(window.days):
            yield ("lend", place, "days"), "a day comes twice"
    for minute in lending.edges():
        if (away := lending.lent(minute)) > lending.replicas:
            when = f"{DAYS[minute // MINUTES_OF_DAY]} {time_of_day(minute % MINUTES_OF_DAY)}"
            yield ("lend",), f"on {when} it lends {away} replicas, and has {lending.replicas}"
            return


def written(lending: Lending | None) -> list[dict[str, Any]]:
    """The key that reads back as this schedule."""
    return [_written(window) for window in lending.windows] if lending else []


def _window(one: Any) -> LendWindow:
    return LendWindow(one.replicas, getattr(one, "from"), one.until, tuple(one.days))


def _written(window: LendWindow) -> dict[str, Any]:
    keys: dict[str, Any] = {
        "replicas": window.replicas,
        "from": time_of_day(window.from_minute),
        "until": time_of_day(window.until_minute),
    }
    return keys if window.days == DAYS else {**keys, "days": list(window.days)}
