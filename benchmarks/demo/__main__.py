"""`python -m benchmarks.demo`: the overflow story, from nothing to its tables."""

import argparse
import asyncio
import itertools
import random
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.demo import table
from benchmarks.demo.blow import Blow, strike
from benchmarks.demo.calibration import calibrate
from benchmarks.demo.screen import Screen, Tally
from benchmarks.demo.story import Calibration, plan
from benchmarks.demo.verdict import checks
from benchmarks.demo.watch import FleetWatch, watching
from benchmarks.serving.driver import Driver
from benchmarks.serving.picture import draw
from benchmarks.serving.record import Record
from benchmarks.serving.target import connected
from benchmarks.workloads.prompts import CheckedPrompter, Prompter, built_in_answer
from serving.counting import count_on
from spillway.local.errors import LocalError
from spillway.local.fleet import LocalFleet
from spillway.local.foreground import sigterm_as_interrupt
from spillway.local.reporter import reporter_for_terminal
from spillway.local.two_sites import (
    HOME,
    HOME_SLOTS,
    RENTED,
    built_in_model,
    fake_engine,
    two_sites,
)

TURN_DEADLINE_S = 60.0
TICK_S = 0.1


def main() -> int:
    """0 where the story went as it must, 1 where it did not, 130 after Ctrl-C."""
    options = _parser().parse_args()
    started_s = time.monotonic()
    serving = fake_engine() if options.engine == "fake" else built_in_model()
    try:
        with sigterm_as_interrupt():
            good = _demo(serving, options.seed, options.picture)
    except LocalError as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        _say("Interrupted: everything that was started has ended.")
        return 130
    _say(f"Finished in {time.monotonic() - started_s:.0f} s.")
    return 0 if good else 1


def _demo(serving: Mapping[str, Any], seed: int, picture: Path | None) -> bool:
    """Start the fleet, tell the story, print what came of it; whether it went as it must."""
    prompter = CheckedPrompter(_counted if serving.get("engine") == "fake" else built_in_answer)
    reporter = reporter_for_terminal()
    with LocalFleet(two_sites(serving), reporter) as fleet:
        with reporter:
            fleet.start_sites()
            reporter.say("clients", "measuring what this machine serves")
            home, rented = (fleet.sites[name].replica_addresses()[0] for name in (HOME, RENTED))
            measured = asyncio.run(calibrate(home, rented, HOME_SLOTS, prompter))
            reporter.say("clients", f"ready: {_sizing(measured)}")
            fleet.start_router(two_sites(serving, ttft_s=measured.objective_ttft_s))
        records, watch, blow = asyncio.run(_tell(fleet, measured, prompter, seed))
    table.show(records, watch, HOME)
    table.show_blow(records, blow)
    if picture is not None:
        draw(records, measured.objective_ttft_s, picture)
    table.show_failures(records)
    found = checks(records, HOME)
    for check in found:
        sys.stdout.write(f"{'yes' if check.holds else 'NO '}  {check.sentence}\n")
    return all(check.holds for check in found)


async def _tell(
    fleet: LocalFleet, measured: Calibration, prompter: Prompter, seed: int
) -> tuple[list[Record], FleetWatch, Blow]:
    """Drive the story's sessions; what its clients saw, what the router told, and the blow."""
    records: list[Record] = []
    tally = Tally()

    def on_record(record: Record) -> None:
        records.append(record)
        tally.done += 1
        tally.wrong += record.status != "OK" or record.right is not True

    async with (
        connected(fleet.address, deadline_s=TURN_DEADLINE_S, comes_back=True) as target,
        watching(fleet.address) as watch,
    ):
        driver = Driver(target, prompter, on_record)

        def clock() -> float:
            return time.perf_counter() - driver.begun_at

        screen = Screen(watch, tally, clock)
        sessions = list(plan(measured, random.Random(seed)))
        with screen:
            story = asyncio.create_task(driver.open_loop(sessions))
            blow = asyncio.create_task(strike(fleet.sites[RENTED], watch, clock))
            while not story.done():
                screen.tick()
                await asyncio.wait([story], timeout=TICK_S)
            await story
    return records, watch, await blow


def _counted(prompt: str, tokens: int) -> str:
    """What the fake engine says."""
    return bytes(itertools.islice(count_on(prompt.encode()), tokens)).decode()


def _sizing(measured: Calibration) -> str:
    return (
        f"home serves {measured.home_turns_per_s:.1f} turns/s of {measured.output_tokens} tokens; "
        f"the surge asks for {measured.surge_load:.1f} times that; "
        f"a first token is promised within {measured.objective_ttft_s:.1f} s"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.demo", description=__doc__)
    parser.add_argument(
        "--engine", choices=("vllm", "fake"), default="vllm", help="fake: rehearse without a model"
    )
    parser.add_argument("--picture", type=Path, help="draw the times to first token here, as PNG")
    parser.add_argument("--seed", type=int, default=0, help="seeds arrivals and sessions")
    return parser


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
