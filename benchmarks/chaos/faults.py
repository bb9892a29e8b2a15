"""The failure matrix: what is done to the scene, what has to hold while it lasts, how it ends."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from benchmarks.chaos.clients import misbehave
from benchmarks.chaos.liar import Lie
from benchmarks.chaos.poison import send_poison
from benchmarks.chaos.scene import FAR, Gateway, Scene, signal_all
from spillway.local.relay import Link

Act = Callable[[Scene], Awaitable[None]]

KILLED_PAUSE_MAX_S = 0.5
STALLED_PAUSE_MAX_S = 1.5


async def nothing(_scene: Scene) -> None:
    """For a fault that needs no preparation, or ends by itself."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the matrix. `strike` comes upon running streams, `heal` after `hold_s`."""

    name: str
    strike: Act
    heal: Act = nothing
    prepare: Act = nothing  # before there is any load
    clean: Act = nothing  # when there is none any more
    hold_s: float = 3.0
    fill: bool = False  # the streams that are struck begin at the far site
    pause_p99_max_s: float | None = None  # what is aimed at for resumed streams


async def _kill_engine(scene: Scene) -> None:
    signal_all([await scene.strike_busiest()], signal.SIGKILL)


async def _mend_struck(scene: Scene) -> None:
    if scene.struck is not None:
        await scene.mend(scene.struck)


async def _mend_all(scene: Scene) -> None:
    await scene.mend(scene.near)
    await scene.mend(scene.far)


async def _stop_engine(scene: Scene) -> None:
    scene.stopped = [await scene.strike_busiest()]
    signal_all(scene.stopped, signal.SIGSTOP)


async def _continue_engine(scene: Scene) -> None:
    """It goes on with streams that have long been elsewhere: what it says is too late."""
    signal_all(scene.stopped, signal.SIGCONT)


async def _replace_replica(scene: Scene) -> None:
    await asyncio.to_thread(scene.near.replace)


async def _kill_site(scene: Scene) -> None:
    await scene.strike_busiest()
    if scene.struck is not None:
        scene.dead = f"{scene.struck.name}/"
        signal_all(scene.struck.all_pids(), signal.SIGKILL)


async def _kill_gateway(scene: Scene) -> None:
    await scene.strike_busiest()
    if isinstance(scene.struck, Gateway):
        scene.dead = f"{scene.struck.name}/"
        scene.struck.gateway.end(signal.SIGKILL)


async def _replace_gateway(scene: Scene) -> None:
    await scene.strike_busiest()
    scene.dead = ""  # it is back before the fault is over
    if isinstance(scene.struck, Gateway):
        scene.struck.gateway.end(signal.SIGTERM)
        await asyncio.to_thread(scene.struck.gateway.wait_until_ended)
        await asyncio.to_thread(scene.struck.gateway.restart)


async def _stall_link(scene: Scene) -> None:
    scene.dead = f"{FAR}/"
    scene.relay.stall()


async def _resume_link(scene: Scene) -> None:
    scene.relay.resume()


async def _reset_link(scene: Scene) -> None:
    scene.relay.reset()


async def _cut_link(scene: Scene) -> None:
    scene.relay.cut()


async def _half_open_link(scene: Scene) -> None:
    scene.relay.half_open()


async def _slow_link(scene: Scene) -> None:
    scene.relay.link = Link(delay_s=0.1, bytes_per_s=50_000)


async def _lossy_link(scene: Scene) -> None:
    scene.relay.link = Link(delay_s=0.005, loss=0.02)


async def _perfect_link(scene: Scene) -> None:
    scene.relay.link = Link()


async def _drain(scene: Scene) -> None:
    scene.dead = f"{FAR}/"
    await scene.set_drained(FAR, drained=True)


async def _undrain(scene: Scene) -> None:
    await scene.set_drained(FAR, drained=False)


async def _end_lies(scene: Scene) -> None:
    scene.lead()
    scene.relay.cut()


def _lying(lie: Lie) -> Fault:
    async def prepare(scene: Scene) -> None:
        await scene.liar.lead(scene.far.addresses()[0])
        await scene.liar.tell(lie)
        scene.relay.target = scene.liar.address
        scene.relay.cut()

    return Fault(f"load reports {lie.value}", nothing, prepare=prepare, clean=_end_lies)


async def _open_spare(scene: Scene) -> None:
    scene.spare = await asyncio.to_thread(scene.open_router, "spare")
    await asyncio.to_thread(scene.spare.wait_until_listening)


async def _close_spare(scene: Scene) -> None:
    if scene.spare is not None:
        await asyncio.to_thread(scene.spare.stop)
        scene.spare = None


async def _replace_router(scene: Scene, number: signal.Signals) -> None:
    scene.router.end(number)
    await asyncio.to_thread(scene.router.wait_until_ended)
    await asyncio.to_thread(scene.router.restart)


async def _terminate_router(scene: Scene) -> None:
    await _replace_router(scene, signal.SIGTERM)


async def _kill_router(scene: Scene) -> None:
    await _replace_router(scene, signal.SIGKILL)


ENGINE_KILLED = Fault(
    "engine killed (SIGKILL)",
    _kill_engine,
    _mend_struck,
    pause_p99_max_s=KILLED_PAUSE_MAX_S,
)
ENGINE_HANGS = Fault(
    "engine hangs (SIGSTOP, later SIGCONT)",
    _stop_engine,
    _continue_engine,
    hold_s=5.0,
    pause_p99_max_s=STALLED_PAUSE_MAX_S,
)
REPLICA_REPLACED = Fault("replica replaced", _replace_replica)
SITE_KILLED = Fault(
    "whole site killed",
    _kill_site,
    _mend_struck,
    pause_p99_max_s=KILLED_PAUSE_MAX_S,
)
LINK_STALLS = Fault(
    "link black-holed",
    _stall_link,
    _resume_link,
    hold_s=5.0,
    pause_p99_max_s=STALLED_PAUSE_MAX_S,
    fill=True,
)
LINK_HALF_OPEN = Fault(
    "link half open", _half_open_link, pause_p99_max_s=STALLED_PAUSE_MAX_S, hold_s=5.0, fill=True
)
LINK_RESET = Fault("link reset", _reset_link, pause_p99_max_s=KILLED_PAUSE_MAX_S, fill=True)
LINK_CUT = Fault("link cut (FIN)", _cut_link, pause_p99_max_s=KILLED_PAUSE_MAX_S, fill=True)
LINK_SLOW = Fault("link slow", _slow_link, _perfect_link, fill=True)
LINK_LOSSY = Fault("link lossy", _lossy_link, _perfect_link, fill=True)
DRAIN = Fault("site drained", _drain, _undrain, fill=True)
ROUTER_TERMINATED = Fault(
    "router replaced (SIGTERM)",
    _terminate_router,
    prepare=_open_spare,
    clean=_close_spare,
    pause_p99_max_s=KILLED_PAUSE_MAX_S,
)
ROUTER_KILLED = replace(ROUTER_TERMINATED, name="router killed (SIGKILL)", strike=_kill_router)
GATEWAY_KILLED = Fault(
    "gateway killed (SIGKILL)",
    _kill_gateway,
    _mend_struck,
    pause_p99_max_s=KILLED_PAUSE_MAX_S,
)
GATEWAY_REPLACED = replace(
    GATEWAY_KILLED, name="gateway replaced (SIGTERM)", strike=_replace_gateway
)
POISON = Fault("poison request", send_poison, _mend_all)
CLIENTS = Fault("clients slow, leaving, vanished", misbehave, hold_s=1.0)
REPORTS = tuple(_lying(lie) for lie in Lie)

GATEWAYS = (GATEWAY_KILLED, GATEWAY_REPLACED)
"""What only a fleet with gateways can suffer."""

COUNTING_ONLY = (POISON,)
"""What only engines that count can suffer."""

MATRIX = (
    LINK_STALLS,
    LINK_HALF_OPEN,
    LINK_RESET,
    LINK_CUT,
    LINK_SLOW,
    LINK_LOSSY,
    ENGINE_HANGS,
    ENGINE_KILLED,
    REPLICA_REPLACED,
    DRAIN,
    *REPORTS,
    CLIENTS,
    ROUTER_TERMINATED,
    ROUTER_KILLED,
    SITE_KILLED,
)
QUICK = (
    LINK_STALLS,
    LINK_RESET,
    LINK_HALF_OPEN,
    ENGINE_HANGS,
    ENGINE_KILLED,
    DRAIN,
    ROUTER_KILLED,
    SITE_KILLED,
)
