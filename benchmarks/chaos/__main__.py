"""`python -m benchmarks.chaos`: the failure matrix on a live fleet, every token checked."""

import argparse
import asyncio
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks.chaos import overload, table
from benchmarks.chaos.faults import COUNTING_ONLY, GATEWAYS, MATRIX, QUICK, Fault
from benchmarks.chaos.leftovers import baseline, leftovers
from benchmarks.chaos.load import Size
from benchmarks.chaos.measure import Result, measure
from benchmarks.chaos.mode import Mode
from benchmarks.chaos.opening import engine_scene, ray_scene
from benchmarks.chaos.rivals.contest import contest, show
from benchmarks.chaos.scene import Scene
from benchmarks.report_page import add_option, publish
from spillway.local.descendants import descendants
from spillway.local.errors import LocalError
from spillway.local.foreground import sigterm_as_interrupt
from spillway.local.reporter import reporter_for_terminal
from spillway.local.two_sites import built_in_model, fake_engine

ITL_S = 0.01  # of engines that count
FULL = Size()
ENGINES = Size(streams=12, probe_interval_s=0.2, streams_min=70)  # what one vLLM serves on a core
SHORT = Size(streams=16, tokens_min=100, tokens_max=250)


def main() -> int:
    """0 where everything holds that is promised, 1 where something does not, 130 after Ctrl-C."""
    options = _parser().parse_args()
    started_s = time.monotonic()
    results: list[Result] = []
    missed: list[str] = []
    try:
        with sigterm_as_interrupt():
            asyncio.run(_run(options, results))
    except LocalError as error:
        missed.append(f"the run broke off: {error}")
    except KeyboardInterrupt:
        table.show(results)
        _say("Interrupted: everything that was started has ended.")
        return 130
    shown = [table.show(results)]
    missed += table.misses(results)
    if processes := descendants(os.getpid()):
        missed.append(f"{len(processes)} processes that were started have not ended")
    for miss in missed:
        print(f"NO   {miss}")
    print(
        f"{sum(one.streams for one in results)} streams and"
        f" {sum(one.probes for one in results)} probes in {time.monotonic() - started_s:.0f} s"
    )
    found: dict[str, Any] = {"faults": [asdict(one) for one in results], "missed": missed}
    if _meets_rivals(options):
        rows, missing = asyncio.run(contest(options.rivals))
        shown.append(show(rows, missing))
        found |= {"rivals": [asdict(row) for row in rows], "missing": missing}
    publish(options, "The failure matrix", found, shown, [*missed, *table.notes(results)])
    if options.out is not None:
        options.out.with_suffix(".md").write_text(table.markdown(results))
    return 1 if missed else 0


async def _run(options: argparse.Namespace, results: list[Result]) -> None:
    """Add a result for each fault.

    What only engines that count can show is shown on plain ones, whatever the rest runs on.
    """
    rng = random.Random(options.seed)
    gateways = GATEWAYS if options.mode is Mode.GATEWAYS else ()
    matrix = _chosen((*MATRIX, *gateways), options.only)
    counting = _chosen(COUNTING_ONLY, options.only)
    if options.quick:
        async with engine_scene(ITL_S, say=_say, mode=options.mode) as scene:
            await _all(_chosen((*QUICK, *gateways), options.only), scene, SHORT, rng, results)
        return
    if options.plain:
        counting = (*matrix, *counting)
    elif matrix:
        serving = fake_engine() if options.fake else built_in_model()
        with reporter_for_terminal() as reporter:
            async with ray_scene(serving, reporter, options.mode) as scene:
                await _all(matrix, scene, ENGINES, rng, results)
    if counting:
        async with engine_scene(ITL_S, say=_say, mode=options.mode) as scene:
            await _all(counting, scene, FULL, rng, results)
    if not options.only or "load" in options.only:
        async with engine_scene(overload.ITL_S, overload.SLOTS, say=_say) as scene:
            _say("ten times the load")
            results.append(await overload.measure_overload(scene, rng))


def _meets_rivals(options: argparse.Namespace) -> bool:
    """Whether the rivals' kill and hang follow: after a whole matrix, or where they are named."""
    return options.rivals is not None or not (options.quick or options.only)


def _chosen(faults: Sequence[Fault], words: Sequence[str]) -> tuple[Fault, ...]:
    return tuple(one for one in faults if not words or any(word in one.name for word in words))


async def _all(
    faults: Sequence[Fault], scene: Scene, size: Size, rng: random.Random, results: list[Result]
) -> None:
    """One fault after the other, each on a scene that is whole."""
    before = baseline(scene)
    for fault in faults:
        _say(fault.name)
        result = await measure(fault, scene, size, rng)
        results.append(replace(result, left=await leftovers(scene, before)))
        _say(f"  {table.sentence(results[-1])}")
        if scene.router.runs and scene.router.pid != before.pid:
            before = baseline(scene)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.chaos", description=__doc__)
    parser.add_argument("--fake", action="store_true", help="engines that count, not vLLM's")
    parser.add_argument("--plain", action="store_true", help="engines that count, without Ray")
    parser.add_argument("--quick", action="store_true", help="two minutes: --plain, fewer faults")
    parser.add_argument(
        "--mode",
        type=Mode,
        default=Mode.PROXIED,
        choices=list(Mode),
        metavar="MODE",
        help=f"how streams reach their clients: {', '.join(one.value for one in Mode)}",
    )
    parser.add_argument("--only", nargs="*", default=[], help="faults whose names have these words")
    parser.add_argument(
        "--rivals",
        type=Path,
        metavar="DIR",
        help="where the rivals' programs are that are not on the path; who is nowhere is named",
    )
    parser.add_argument("--seed", type=int, default=0, help="seeds prompts and lengths")
    parser.add_argument(
        "--out", type=Path, help="write the result as JSON here, and the table beside it as .md"
    )
    add_option(parser)
    return parser


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
