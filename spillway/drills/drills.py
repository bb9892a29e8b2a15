"""The drills: what is done to the fleet, what has to be seen of it, and how it is healed."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from spillway.drills.report import Report
from spillway.drills.scene import FAR, NEAR, Kind, Scene, site_in, takes_turns
from wire.spillway.v1.fleet_pb2 import FleetState, SiteState

SEEN_S = 30.0  # in which the router has to have noticed; it takes a second or two
BACK_S = 60.0  # and in which what was healed has to take turns again
SKEW_S = 3_600.0
LASTS_S = 5.0  # a certificate that runs out; it is made when the fleet is up, however late

Act = Callable[[Scene, Report], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Drill:
    """One disaster. `strike` comes upon running streams, `heal` after some seconds."""

    name: str
    what: str
    strike: Act
    heal: Act
    kind: Kind = Kind()  # noqa: RUF009 - a frozen value
    on_a_fleet: bool = False  # whether it can be done to any fleet, by a drain, and undone
    far_serves: bool = False  # whether far is to answer meanwhile


async def _lose_site(scene: Scene, report: Report) -> None:
    for pid in scene.far.all_pids():
        os.kill(pid, signal.SIGKILL)
    report.note("struck: every process of far is killed")
    await _seen(scene, report, "far is down", lambda s: not takes_turns(s, FAR))


async def _mend_site(scene: Scene, report: Report) -> None:
    report.note("far is being started again")
    await asyncio.to_thread(scene.far.mend)
    scene.relay.target = scene.far.addresses()[0]
    report.note("healed: far is started again")
    await _back(scene, report)


async def _lose_link(scene: Scene, report: Report) -> None:
    scene.relay.stall()
    report.note("struck: nothing passes on the way to far any more, and nothing is refused")

    def unreachable(state: FleetState) -> bool:
        return site_in(state, FAR).trouble == SiteState.LINK

    await _seen(scene, report, "far cannot be reached, and may well serve others", unreachable)


async def _mend_link(scene: Scene, report: Report) -> None:
    scene.relay.resume()
    report.note("healed: the way to far is open again")
    await _back(scene, report)


async def _expire(scene: Scene, report: Report) -> None:
    if scene.certificates is not None and scene.far_files is not None:
        scene.certificates.replace(f"{FAR}.drill.test", scene.far_files, LASTS_S)
    report.note("far's certificate runs out while streams go on")
    left_s = await asyncio.to_thread(_until_expired, scene)
    report.note(
        f"struck: far's certificate has expired (after {left_s:.0f} s); its connections end"
    )
    scene.relay.cut()
    await _seen(scene, report, "far is down", lambda s: not takes_turns(s, FAR))


def _until_expired(scene: Scene) -> float:
    import time  # noqa: PLC0415
    from datetime import UTC, datetime  # noqa: PLC0415

    from spillway.certs.showing import certificates  # noqa: PLC0415

    if scene.far_files is None:
        return 0.0
    (shown, *_) = certificates(scene.far_files[0])
    left_s = max(0.0, (shown.not_after - datetime.now(UTC)).total_seconds()) + 1.0
    time.sleep(left_s)
    return left_s


async def _renew(scene: Scene, report: Report) -> None:
    state = await scene.state()
    out = state is not None and not takes_turns(state, FAR)
    found = "it is" if out else "it took turns"
    report.promise("far is kept out until it has a new certificate", held=out, found=found)
    if scene.certificates is not None and scene.far_files is not None:
        scene.certificates.replace(f"{FAR}.drill.test", scene.far_files)
    report.note("healed: the file has a new certificate; nothing is restarted")
    await _back(scene, report)


async def _lose_store(scene: Scene, report: Report) -> None:
    if scene.store is not None:
        await asyncio.to_thread(scene.store.kill)
    report.note("struck: the store is killed, and what it knew is lost")
    await _seen(scene, report, "the store is away", lambda s: s.store.away)


async def _mend_store(scene: Scene, report: Report) -> None:
    if scene.store is not None:
        await asyncio.to_thread(scene.store.start)
    report.note("healed: the store is started again, empty")
    took_s = await scene.until(lambda s: not s.store.away, BACK_S)
    _found(report, "the router shares again once the store is back", took_s)


async def _skew(scene: Scene, report: Report) -> None:
    scene.far.program = ("spillway.drills.skewed", str(SKEW_S), "serving.standalone")
    report.note(f"struck: far is started again with a clock that is {SKEW_S:.0f} s ahead")
    await asyncio.to_thread(scene.far.replace)
    scene.relay.target = scene.far.addresses()[0]
    ahead_s = await scene.clock_ahead_s()
    report.promise(
        "the clock is seen to be off",
        held=ahead_s is not None and abs(ahead_s - SKEW_S) < 60.0,
        found="not measured"
        if ahead_s is None
        else f"{ahead_s:.1f} s ahead, as doctor measures it",
    )
    await _back(scene, report, "takes turns, though its clock is off")
    await scene.client.drain(NEAR)
    report.note("near is drained, so that all goes to far")


async def _set_right(scene: Scene, report: Report) -> None:
    await scene.client.undrain(NEAR)
    scene.far.program = ("serving.standalone",)
    await asyncio.to_thread(scene.far.replace)
    scene.relay.target = scene.far.addresses()[0]
    report.note("healed: far is started again with the machine's clock")
    await _back(scene, report)


async def _seen(
    scene: Scene, report: Report, what: str, holds: Callable[[FleetState], bool]
) -> None:
    took_s = await scene.until(holds, SEEN_S)
    _found(report, f"the router says that {what}", took_s)


async def _back(scene: Scene, report: Report, what: str = "takes turns again") -> None:
    took_s = await scene.until(lambda s: takes_turns(s, FAR), BACK_S)
    _found(report, f"far {what}", took_s)


def _found(report: Report, what: str, took_s: float | None) -> None:
    if took_s is not None:
        report.note(f"seen: {what}")
    found = "it never did" if took_s is None else f"after {took_s:.1f} s"
    report.promise(what, held=took_s is not None, found=found)


DRILLS = {
    drill.name: drill
    for drill in (
        Drill(
            "site-lost",
            "every process of a site dies at once",
            _lose_site,
            _mend_site,
            on_a_fleet=True,
        ),
        Drill(
            "link-lost",
            "the way to a site swallows all that is sent",
            _lose_link,
            _mend_link,
            on_a_fleet=True,
        ),
        Drill(
            "certificate-expired",
            "a site's certificate runs out, and is renewed",
            _expire,
            _renew,
            Kind(certificates=True),
        ),
        Drill(
            "store-away",
            "the store that routers share is gone, and comes back empty",
            _lose_store,
            _mend_store,
            Kind(store=True),
        ),
        Drill(
            "clocks-skewed",
            "a site's clock is an hour ahead, where leases go by it",
            _skew,
            _set_right,
            Kind(leases=True),
            far_serves=True,
        ),
    )
}
"""By name, in the order of docs/drills.md."""
