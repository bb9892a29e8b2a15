"""A fleet file and what a command line adds to it, as offers."""

import re
from collections.abc import Callable, Iterable
from typing import TypeVar

from router.policy.fleet import SiteKind
from router.policy.lending import DAYS, MINUTES_OF_DAY
from spillway.fleet import FleetFile
from spillway.planning.offer import HARDWARE, Offer

COMMITTED_SHARE = 0.6  # of the metered price, as a year's contract commonly costs
HOME_RTT_MS, RENTED_RTT_MS = 0.5, 30.0

_TIME = re.compile(
    rf"(?P<day>{'|'.join(DAYS)}) (?P<hours>[01][0-9]|2[0-3]):(?P<minutes>[0-5][0-9])"
)

Value = TypeVar("Value")


def offers_of(
    file: FleetFile,
    hardware: Iterable[str],
    replicas: Iterable[str],
    rtt_ms: Iterable[str],
    committed_usd: Iterable[str],
) -> tuple[Offer, ...]:
    """An offer for each site. ValueError for a setting that is not SITE=VALUE."""
    names = [site.name for site in file.fleet.sites]
    hardware_of = _by_site(hardware, names, _hardware)
    replicas_of = _by_site(replicas, names, _count)
    rtt_of = _by_site(rtt_ms, names, _number)
    committed_of = _by_site(committed_usd, names, _number)
    metered = {site.name: site.price.metered_usd_per_replica_hour for site in file.fleet.sites}
    dearest_usd = max(metered.values(), default=0.0)
    offers = []
    for site in file.fleet.sites:
        is_home = site.kind is SiteKind.HOME
        price_usd = dearest_usd if is_home else metered[site.name]
        offers.append(
            Offer(
                site,
                hardware_of.get(site.name, "h100"),
                replicas_of.get(site.name, _replicas(file, site.name)),
                rtt_of.get(site.name, HOME_RTT_MS if is_home else RENTED_RTT_MS),
                committed_of.get(site.name, COMMITTED_SHARE * price_usd),
            )
        )
    return tuple(offers)


def minute_of(text: str) -> int:
    """The minute of the week that `mon 22:30` is. ValueError for anything else."""
    match = _TIME.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(f"expected a day and a time, such as mon 22:30: {text}")
    hours, minutes = int(match["hours"]), int(match["minutes"])
    return DAYS.index(match["day"]) * MINUTES_OF_DAY + hours * 60 + minutes


def _replicas(file: FleetFile, site: str) -> int:
    """As many as are deployed there, or listed by hand."""
    deployed = sum(one.replicas for one in file.deployments if one.site == site)
    return deployed or max(1, len(file.access_to(site).endpoints))


def _by_site(
    settings: Iterable[str], sites: Iterable[str], read: Callable[[str], Value]
) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for setting in settings:
        site, separator, value = setting.partition("=")
        if not separator or site not in sites:
            known = ", ".join(sites)
            raise ValueError(f"expected SITE=VALUE with a site of the file ({known}): {setting}")
        try:
            found[site] = read(value)
        except ValueError as error:
            raise ValueError(f"{setting}: {error}") from error
    return found


def _hardware(value: str) -> str:
    if value not in HARDWARE:
        raise ValueError(f"expected one of {', '.join(HARDWARE)}")
    return value


def _count(value: str) -> int:
    if not value.isdecimal():
        raise ValueError("expected a number of replicas")
    return int(value)


def _number(value: str) -> float:
    number = float(value)
    if not 0 <= number < float("inf"):
        raise ValueError("expected a number of at least 0")
    return number
