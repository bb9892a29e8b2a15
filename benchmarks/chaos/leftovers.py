"""What a fault may leave behind in a router: counters, streams in engines, file descriptors."""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.scene import Scene, SceneError
from wire.spillway.v1 import fleet_pb2

CLEAN_DEADLINE_S = 10.0  # counters are clean at once; engines say so with their next report
FILES_SLACK = 8  # connections that are being made anew, and the one that asks


@dataclass(frozen=True, slots=True)
class Baseline:
    """The router before the first fault, idle."""

    pid: int
    files_open: int


def baseline(scene: Scene) -> Baseline:
    """What the router holds now."""
    return Baseline(scene.router.pid, files_open(scene.router.pid))


async def leftovers(scene: Scene, before: Baseline) -> list[str]:
    """What is there that was not before, a sentence each, once there was time to tidy up."""
    try:
        await scene.until(lambda state: not _left(state, scene), "all is clean", CLEAN_DEADLINE_S)
    except SceneError:
        left = _left(await scene.state(), scene)
    else:
        left = []
    with contextlib.suppress(StopIteration):  # the router ended: the fault is told elsewhere
        pid, files = scene.router.pid, files_open(scene.router.pid)
        if pid == before.pid and files > before.files_open + FILES_SLACK:
            left.append(f"{files - before.files_open} more file descriptors of the router")
    return left


def _left(state: fleet_pb2.FleetState, scene: Scene) -> list[str]:
    found = [f"{state.open_streams} streams open"] if state.open_streams else []
    listed = sum(len(site.endpoints) for site in state.sites)
    if listed > scene.replicas:
        found.append(f"{listed} endpoints in the router's table, of which {scene.replicas} live")
    for site in state.sites:
        found += [
            f"{end.name}: {end.in_flight} in flight, {end.running_requests} running,"
            f" {end.waiting_requests} waiting"
            for end in site.endpoints
            if end.in_flight or end.running_requests or end.waiting_requests
        ]
    return found


def files_open(pid: int) -> int:
    """File descriptors that a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
