"""Runs the door of a site in the foreground, and keeps it as the site's list of endpoints is."""

import asyncio
import logging
import signal
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import aiohttp

from router.live.discovery import SiteDiscovery
from router.live.settings import RouterSettings, SiteAccess
from spillway.door.haproxy import DoorError, HaProxy

_AGAIN_S: Final = 5.0

_log = logging.getLogger(__name__)


class _Listed:
    """What discovery has found."""

    def __init__(self) -> None:
        self.addresses: frozenset[str] = frozenset()
        self.changed = asyncio.Event()

    def set_site(self, _site: str, addresses: Iterable[str]) -> None:
        """See Listed."""
        if frozenset(addresses) != self.addresses:
            self.addresses = frozenset(addresses)
            self.changed.set()

    def connected_at(self, _site: str) -> bool:
        """See Listed: a list that is empty all at once is not believed at once."""
        return bool(self.addresses)


def keep_door(
    access: SiteAccess,
    settings: RouterSettings,
    listen: str,
    program: str,
    say: Callable[[str], None],
) -> bool:
    """Keep a door until SIGTERM (open streams finish first) or SIGINT (they are cut off).

    `say` hears which endpoints are behind it. The answer is whether it was interrupted.
    Raises DoorError.
    """
    return asyncio.run(_keep(access, settings, listen, program, say))


async def _keep(
    access: SiteAccess,
    settings: RouterSettings,
    listen: str,
    program: str,
    say: Callable[[str], None],
) -> bool:
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number)
    with tempfile.TemporaryDirectory(prefix="spillway-door-") as folder:
        door = HaProxy(program, listen, Path(folder))
        grace_s = 0.0
        await door.start(access.endpoints)
        say(f"Door of {access.site} at {listen}")
        following = asyncio.create_task(_follow(access, settings, door, say))
        told, ended = asyncio.create_task(signals.get()), asyncio.create_task(door.ended())
        try:
            await asyncio.wait({told, ended, following}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                raise DoorError(f"haproxy ended with status {ended.result()}; it says why above")
            if following.done():
                following.result()
            number = told.result()
            if number is signal.SIGTERM:
                grace_s = settings.drain_timeout_s
                say("Draining: open streams finish, new ones are refused.")
            return number is signal.SIGINT
        finally:
            for task in (following, told):
                task.cancel()
            await asyncio.gather(following, told, return_exceptions=True)
            await door.stop(grace_s)
            await ended


async def _follow(
    access: SiteAccess, settings: RouterSettings, door: HaProxy, say: Callable[[str], None]
) -> None:
    listed = _Listed()
    async with aiohttp.ClientSession() as http:
        discovery = SiteDiscovery(
            listed, access, http, settings.discovery_interval_s, settings.discovery_timeout_s
        )
        discovering = asyncio.create_task(discovery.run())
        try:
            while True:
                await listed.changed.wait()
                listed.changed.clear()
                addresses = listed.addresses
                try:
                    await door.change(addresses)
                except DoorError as error:
                    _log.warning("site %s: %s", access.site, error)
                    await asyncio.sleep(_AGAIN_S)
                    listed.changed.set()
                else:
                    say(f"Endpoints: {', '.join(sorted(addresses)) or 'none'}")
        finally:
            discovering.cancel()
            await asyncio.gather(discovering, return_exceptions=True)
