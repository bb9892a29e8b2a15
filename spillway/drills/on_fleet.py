"""A drill on a fleet that serves others: a site is taken away by a drain, which is undone again.

What the router does when a site is drained is what it does when it is lost, but for the streams
that are broken: new turns go elsewhere, streams go on elsewhere after `drain_timeout`, the others
carry the load. So this shows whether the rest of the fleet can, and breaks nothing.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import grpc

from spillway.client import Client, SpillwayError
from spillway.drills.report import Report
from wire.spillway.v1.fleet_pb2 import EndpointState, FleetState, SiteState

PROBE_S = 1.0  # between two small requests that show whether the fleet serves
PROBE_TOKENS = 8
PROBE_DEADLINE_S = 30.0
LOOK_S = 0.5
EMPTY_S = 600.0  # streams that cannot go on elsewhere take as long as they take
ASK_S = 10.0
UNANSWERED = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
    }
)
"""With these a drain may have been carried out that nobody heard of; all else is a refusal."""


class FleetDrillError(Exception):
    """The drill cannot be done to this fleet; the message is one line, and nothing was done."""


async def run_on_fleet(
    drill: str, client: Client, site: str, hold_s: float, say: Callable[[str], None]
) -> Report:
    """Drain a site, hold, undrain it. However this ends, the site takes turns again.

    Raises FleetDrillError before anything is done, and SpillwayError where the router is not there.
    """
    report = Report(drill, "of the router", say)
    _require_another(await _state(client), site)
    async with _probing(client) as probes, _drained(client, site, report):
        await _until_empty(client, site, report)
        report.note(f"held for {hold_s:.0f} s: the others carry the load")
        await asyncio.sleep(hold_s)
    back = await _takes_turns(client, site)
    report.promise(
        f"{site} takes turns again", held=back, found="it does" if back else "it does not"
    )
    errors = Counter(error for error in probes if error)
    why = "; ".join(f"{count} of {error}" for error, count in errors.most_common(3))
    report.promise(
        "small requests are answered throughout",
        held=not errors and bool(probes),
        found=f"{errors.total()} of {len(probes)} were not: {why}"
        if errors
        else f"all {len(probes)}",
    )
    return report


async def _state(client: Client) -> FleetState:
    async with aclosing(client.watch_fleet(deadline_s=ASK_S)) as states:
        async for state in states:
            return state
    raise FleetDrillError("the router says nothing of its fleet")


def _require_another(state: FleetState, name: str) -> None:
    sites = {site.name: site for site in state.sites}
    if name not in sites:
        raise FleetDrillError(f"the router knows no site {name}; it has {', '.join(sites)}")
    if sites[name].draining:
        raise FleetDrillError(f"{name} drains already; undrain it first, if it may serve")
    if not any(_serves(site) for site in state.sites if site.name != name):
        raise FleetDrillError(f"{name} is the only site that takes turns: nobody could go on")


def _serves(site: SiteState) -> bool:
    up = any(one.health == EndpointState.UP for one in site.endpoints)
    return up and not site.draining


@contextlib.asynccontextmanager
async def _drained(client: Client, site: str, report: Report) -> AsyncIterator[None]:
    """A site that drains within the block, and takes turns after it, also where it is cut short.

    Raises FleetDrillError where the router refuses to drain it: then there is nothing to undo.
    """
    is_refused = False
    try:
        try:
            streams = await client.drain(site)
        except SpillwayError as error:
            is_refused = error.code not in UNANSWERED
            if not is_refused:
                raise
            refused = f"the router refuses to drain {site}: {error}. Nothing was done"
            raise FleetDrillError(refused) from error
        report.note(f"struck: {site} is drained; {streams} streams are open there")
        report.figures["streams_at_the_strike"] = streams
        yield
    finally:
        if not is_refused:
            # Not to be cut short by the Ctrl-C that ended the block.
            await asyncio.shield(asyncio.ensure_future(_undrain(client, site, report)))


async def _undrain(client: Client, site: str, report: Report) -> None:
    for _ in range(3):
        try:
            await client.undrain(site)
        except SpillwayError as error:
            failed = error
            await asyncio.sleep(LOOK_S)
        else:
            report.note(f"healed: {site} takes turns again")
            return
    report.note(f"NOT HEALED: {failed}. Run: spillway undrain {site}")
    report.promise(f"{site} is undrained", held=False, found=f"run spillway undrain {site}")


async def _until_empty(client: Client, site: str, report: Report) -> None:
    begun_s = time.monotonic()
    left = 0
    while time.monotonic() - begun_s < EMPTY_S:
        left = next(s for s in (await _state(client)).sites if s.name == site).open_streams
        if not left:
            took_s = time.monotonic() - begun_s
            report.figures["empty_after_s"] = round(took_s, 1)
            report.note(f"seen: no stream is left at {site}")
            report.promise(f"every stream leaves {site}", held=True, found=f"after {took_s:.1f} s")
            return
        await asyncio.sleep(LOOK_S)
    report.promise(f"every stream leaves {site}", held=False, found=f"{left} are still there")


async def _takes_turns(client: Client, site: str) -> bool:
    give_up_s = time.monotonic() + ASK_S
    while time.monotonic() < give_up_s:
        sites = {one.name: one for one in (await _state(client)).sites}
        if site in sites and _serves(sites[site]):
            return True
        await asyncio.sleep(LOOK_S)
    return False


@contextlib.asynccontextmanager
async def _probing(client: Client) -> AsyncIterator[list[str]]:
    """Small requests for as long as the block lasts: for each, why it failed, or nothing."""
    found: list[str] = []
    over = asyncio.Event()

    async def one() -> None:
        try:
            await client.generate(
                "Count from 1", max_new_tokens=PROBE_TOKENS, deadline_s=PROBE_DEADLINE_S
            )
        except SpillwayError as error:
            found.append(f"{error.code.name}: {error}"[:200])
        else:
            found.append("")

    async def all_of_them() -> None:
        while not over.is_set():
            await one()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PROBE_S):
                    await over.wait()

    probing = asyncio.create_task(all_of_them())
    try:
        yield found
    finally:
        over.set()
        await asyncio.gather(probing, return_exceptions=True)
