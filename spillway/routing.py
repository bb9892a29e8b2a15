"""Runs a router for a fleet file in the foreground."""

import asyncio
import signal
from collections.abc import Callable

from router.live.router import Router
from spillway.fleet import FleetFile
from wire.lease_keys import LeaseKeyError


class RoutingError(Exception):
    """The router cannot run; the message is one line."""


def run(file: FleetFile, say: Callable[[str], None]) -> bool:
    """Run a router until SIGTERM (open streams finish first) or SIGINT (they are cut off).

    `say` hears where it listens, and how it ends. The answer is whether it was interrupted.

    Raises:
        RoutingError: it cannot listen, cannot write its decision log, or has no usable keys.
    """
    return asyncio.run(_run(file, say))


async def _run(file: FleetFile, say: Callable[[str], None]) -> bool:
    try:
        router = Router(file.fleet, file.access, file.router)
    except LeaseKeyError as error:
        raise RoutingError(f"lease_key_file: {error}") from error
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number)
    try:
        await router.start()
    except OSError as error:
        await router.stop(0)
        raise RoutingError(str(error)) from error
    host = file.router.listen.rpartition(":")[0]
    say(f"Router at {host}:{router.port}, {_sites(file)}")
    if router.metrics_port is not None:
        metrics = (file.router.metrics_listen or "").rpartition(":")[0]
        say(f"Metrics at http://{metrics}:{router.metrics_port}/metrics")
    if router.openai_port is not None:
        openai = (file.router.openai_listen or "").rpartition(":")[0]
        say(f"OpenAI's API at http://{openai}:{router.openai_port}/v1")
    interrupted = await signals.get() is signal.SIGINT
    if not interrupted:
        say("Draining: open streams finish, new requests are refused.")
        interrupted = await _drained(router, signals)
    await router.stop(0)
    return interrupted


async def _drained(router: Router, signals: asyncio.Queue[signal.Signals]) -> bool:
    """Drain; a second signal is impatience. Whether it came and was SIGINT."""
    draining = asyncio.create_task(router.drain())
    impatience = asyncio.create_task(signals.get())
    await asyncio.wait({draining, impatience}, return_when=asyncio.FIRST_COMPLETED)
    interrupted = impatience.done() and impatience.result() is signal.SIGINT
    for task in (draining, impatience):
        task.cancel()
    await asyncio.gather(draining, impatience, return_exceptions=True)
    return interrupted


def _sites(file: FleetFile) -> str:
    kinds = [f"{site.name} ({site.kind.value})" for site in file.fleet.sites]
    return f"in front of {', '.join(kinds)}"
