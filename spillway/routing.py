"""Runs a router for a fleet file in the foreground."""

import asyncio
import signal
import sys
from collections.abc import Callable
from typing import Protocol

from router.audit.journal import AuditError
from router.live.key_file import KeyFileError
from router.live.openness import AuthenticationError, why_not_open
from spillway.fleet import FleetFile
from spillway.reloading import FileReloads
from wire.core_dumps import leave_none
from wire.lease_keys import LeaseKeyError
from wire.logs.writing import log_lines
from wire.tls.files import TlsError
from wire.tracing.tracer import TracingError


class RoutingError(Exception):
    """The router cannot run; the message is one line."""


class _Router(Protocol):
    """A router, whatever it is made of."""

    port: int
    metrics_port: int | None
    openai_port: int | None

    async def start(self) -> None:
        """Begins to listen."""
        ...

    async def reload_on_signal(self) -> str:
        """Goes by its fleet file as it is now; how that went, where it is known here."""
        ...

    async def drain(self) -> None:
        """Lets open streams finish, and stops."""
        ...

    async def stop(self) -> None:
        """Stops at once."""
        ...


def run(file: FleetFile, say: Callable[[str], None], workers: int = 1) -> bool:
    """Run a router until SIGTERM (open streams finish first) or SIGINT (they are cut off).

    `say` hears where it listens, and how it ends. The answer is whether it was interrupted.

    Raises:
        RoutingError: it cannot listen, cannot write its decision log or ledger, has no usable keys
            or certificates, or nothing says who may come in where others reach it.
    """
    leave_none()
    with log_lines(file.router.log.format):
        return asyncio.run(_run(file, say, workers))


async def _run(file: FleetFile, say: Callable[[str], None], workers: int) -> bool:
    from spillway.workers.supervisor import WorkerError  # noqa: PLC0415 - brings no gRPC

    router = _made(file, workers)
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, signals.put_nowait, number)
    try:
        await router.start()
    except (OSError, TracingError, WorkerError) as error:
        await router.stop()
        raise RoutingError(str(error)) from error
    host = file.router.listen.rpartition(":")[0]
    scheme = "https" if file.router.tls.certificate else "http"
    of = f" of {workers} workers" if workers > 1 else ""
    say(f"Router{of} at {host}:{router.port}, {_sites(file)}")
    said = file.router.authentication
    if said.keys_file is None and said.tokens.issuer is None and not file.router.tls.accept:
        say("Whoever reaches it may ask: nobody has to say who they are.")
    if router.metrics_port is not None:
        metrics = (file.router.metrics_listen or "").rpartition(":")[0]
        say(f"Metrics at {scheme}://{metrics}:{router.metrics_port}/metrics")
        say(f"Fleet page at {scheme}://{metrics}:{router.metrics_port}/")
    if router.openai_port is not None:
        openai = (file.router.openai_listen or "").rpartition(":")[0]
        say(f"OpenAI's API at {scheme}://{openai}:{router.openai_port}/v1")
    interrupted = await _ended(router, signals, say) is signal.SIGINT
    if not interrupted:
        say("Draining: open streams finish, new requests are refused.")
        interrupted = await _drained(router, signals)
    await router.stop()
    return interrupted


def _made(file: FleetFile, workers: int) -> _Router:
    """A router of one process or of several. Raises RoutingError."""
    why_not = why_not_open(file.router)
    if why_not:
        raise RoutingError(why_not)
    try:
        if workers > 1:
            from spillway.workers.supervisor import Supervisor  # noqa: PLC0415 - brings no gRPC

            return Supervisor(file, workers)
        from router.live.router import Router  # noqa: PLC0415 - a supervisor has no use for gRPC

        reloads = FileReloads(file)
        router = Router(file.fleet, file.access, file.router, reloads=reloads, digest=file.digest)
        reloads.router = router.fleet_change
    except LeaseKeyError as error:
        raise RoutingError(f"lease_key_file: {error}") from error
    except KeyFileError as error:
        raise RoutingError(
            f"router.authentication.keys_file: {error}; `spillway keys new TENANT` makes a key and"
            " its line for that file (docs/tenants.md)"
        ) from error
    except AuthenticationError as error:
        raise RoutingError(str(error)) from error
    except AuditError as error:
        raise RoutingError(f"router.audit.secret_file: {error}") from error
    except TlsError as error:
        raise RoutingError(f"{error} (docs/trust.md says how certificates are set up)") from error
    return router


async def _ended(
    router: _Router, signals: asyncio.Queue[signal.Signals], say: Callable[[str], None]
) -> signal.Signals:
    """The signal that ends it. SIGHUP reloads, unless it says that the terminal is gone."""
    in_terminal = sys.stderr.isatty()
    while (number := await signals.get()) is signal.SIGHUP:
        if in_terminal and not sys.stderr.isatty():
            return signal.SIGTERM
        said = await router.reload_on_signal()
        if said:
            say(said)
    return number


async def _impatience(signals: asyncio.Queue[signal.Signals]) -> signal.Signals:
    """A signal that says to hurry: there is nothing to reload any more."""
    while (number := await signals.get()) is signal.SIGHUP:
        pass
    return number


async def _drained(router: _Router, signals: asyncio.Queue[signal.Signals]) -> bool:
    """Drain; a second signal is impatience. Whether it came and was SIGINT."""
    draining = asyncio.create_task(router.drain())
    impatience = asyncio.create_task(_impatience(signals))
    await asyncio.wait({draining, impatience}, return_when=asyncio.FIRST_COMPLETED)
    interrupted = impatience.done() and impatience.result() is signal.SIGINT
    for task in (draining, impatience):
        task.cancel()
    await asyncio.gather(draining, impatience, return_exceptions=True)
    return interrupted


def _sites(file: FleetFile) -> str:
    kinds = [f"{site.name} ({site.kind.value})" for site in file.fleet.sites]
    return f"in front of {', '.join(kinds)}"
