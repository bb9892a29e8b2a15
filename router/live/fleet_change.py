"""A router goes by another fleet file: what can fail is done first, then all in one breath."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from router.live.callers import Callers
from router.live.key_file import KeyFileError
from router.live.lender import Lender
from router.live.placing import Placing
from router.live.reach import Prepared, Reach
from router.live.reloading import Reading, ReloadError
from router.live.roster import Roster
from router.live.settings import RouterSettings
from router.live.site_leases import SiteLeases
from router.live.standing import FileStanding
from router.live.timed_core import TimedCore
from router.observe.event import FleetChanged
from router.policy.api_key import KeyRing
from router.policy.fleet import Fleet
from router.policy.units import seconds
from wire.tls.files import TlsError


@dataclass(frozen=True, slots=True)
class Ready:
    """Another fleet file, of which nothing can fail any more."""

    reading: Reading
    ways: Prepared
    keys: KeyRing | None


def prepared(reading: Reading, reach: Reach, callers: Callers) -> Ready:
    """What a process needs to go by another file. Raises ReloadError; nothing has changed."""
    settings = reading.settings
    try:
        ways = reach.prepared(reading.access)
        keys = callers.prepared(settings, reading.fleet.tenants)
    except TlsError as error:
        raise ReloadError(str(error)) from error
    except KeyFileError as error:
        raise ReloadError(f"router.authentication.keys_file: {error}") from error
    fleet = replace(reading.fleet, shares=settings.store.url is not None)
    return Ready(replace(reading, fleet=fleet), ways, keys)


class FleetChange:
    """Changes every part of one router that goes by its fleet file."""

    def __init__(
        self,
        core: TimedCore,
        callers: Callers,
        reach: Reach,
        roster: Roster,
        lender: Lender,
        site_leases: SiteLeases,
        placing: Placing,
        standing: FileStanding,
        settled: Callable[[Fleet, RouterSettings], None],
    ) -> None:
        """`settled` hears of the fleet and the settings once they are what the router goes by."""
        self._core = core
        self._callers = callers
        self._reach = reach
        self._roster = roster
        self._lender = lender
        self._site_leases = site_leases
        self._placing = placing
        self._standing = standing
        self._settled = settled

    def prepare(self, reading: Reading) -> Ready:
        """Reads what else there is to read. Raises ReloadError; nothing has changed."""
        return prepared(reading, self._reach, self._callers)

    def apply(self, ready: Ready) -> None:
        """From now on the router goes by it."""
        reading = ready.reading
        fleet, settings = reading.fleet, reading.settings
        self._callers.adopt(settings, ready.keys, fleet.tenants)
        self._core.tell(FleetChanged(fleet))
        self._reach.adopt(ready.ways, self._roster)
        self._lender.adopt(fleet.sites)
        self._site_leases.adopt(fleet, settings.drain_timeout_s)
        self._placing.life_s = seconds(fleet.limits.lease_life_ns)
        self._settled(fleet, settings)
        self._standing.digest = reading.digest
        self._standing.read_unix_ns = time.time_ns()
        self._standing.done += 1
        self._lender.look()
