"""Runs a drill on a fleet of its own: load, strike, hold, heal, hear every stream out."""

import asyncio
import random
import time
from collections.abc import Callable

from spillway.drills.drills import Drill
from spillway.drills.load import STREAMS, load
from spillway.drills.report import Report
from spillway.drills.scene import FAR, NEAR, Scene, local_scene, site_in

FILL_S = 1.0  # at far alone, and then on both sites
BUSY_STREAMS = 3  # at far, before it is struck
BUSY_S = 10.0  # for so many to come; they are there already on an idle machine
AFTER_S = 2.0  # load goes on for so long after the heal


async def run_local(
    drill: Drill, hold_s: float, say: Callable[[str], None], rng: random.Random
) -> Report:
    """The report. Raises LocalError where the fleet does not come up."""
    report = Report(drill.name, "local", say)
    report.note("two sites of engines that count, a relay and a router start")
    async with local_scene(drill.kind) as scene:
        report.note(f"load: {STREAMS} streams at a time, each token of which is known")
        await scene.client.drain(NEAR)  # so that what is struck has streams
        async with load(scene.client, rng) as heard:
            await asyncio.sleep(FILL_S)
            await scene.client.undrain(NEAR)
            await asyncio.sleep(FILL_S)
            await _judge_far(scene, report)
            struck_s = time.monotonic()
            await drill.strike(scene, report)
            await asyncio.sleep(hold_s)
            healed_s = time.monotonic()
            await drill.heal(scene, report)
            await asyncio.sleep(AFTER_S)
        report.judge_streams(heard, struck_s)
        if drill.far_serves:
            there = sum(
                one.site.partition("/")[0] == FAR for one in heard.between(struck_s, healed_s)
            )
            found = f"{there} streams that were begun meanwhile"
            report.promise("far answers all the same", held=there > 0, found=found)
    report.note("all that was started has ended")
    return report


async def _judge_far(scene: Scene, report: Report) -> None:
    """A drill that strikes nobody would show nothing."""
    await scene.until(lambda state: site_in(state, FAR).open_streams >= BUSY_STREAMS, BUSY_S)
    state = await scene.state()
    streams = site_in(state, FAR).open_streams if state is not None else 0
    report.figures["streams_at_the_strike"] = streams
    report.promise("streams run at far when it is struck", held=streams > 0, found=str(streams))
