"""`python -m benchmarks.dataplane`: what each middle costs, side by side in one run."""

import argparse
import asyncio
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.dataplane import direct
from benchmarks.dataplane.load import LOADS, Load
from benchmarks.dataplane.measure import Measured, measure, medians
from benchmarks.dataplane.memory import Held, hold
from benchmarks.dataplane.middles import DIRECT, MIDDLES
from benchmarks.dataplane.picture import draw
from benchmarks.dataplane.proxies import PROXIES, version_of
from benchmarks.dataplane.table import show
from benchmarks.report import write_json
from benchmarks.report_page import add_option, picture, write_page
from benchmarks.rival_program import MissingError

_QUICK_S = 1.0
_QUICK_STREAMS = 500
_QUICK_CALLS = 300


@dataclass(slots=True)
class Run:
    """What a run has brought so far."""

    measured: list[Measured] = field(default_factory=list)
    held: dict[str, Held] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    placed: direct.Costs | None = None
    broke_off: str = ""


async def _run(options: argparse.Namespace, run: Run) -> None:
    for name in (name for name in options.middles if name in PROXIES):
        try:
            run.versions[name] = await version_of(name, options.programs)
        except MissingError as error:
            run.missing[name] = str(error)
    loads = [load for load in LOADS if not options.loads or load.name in options.loads]
    for repeat in range(options.repeats):
        for load in loads:
            await _in_turn(options, run, load, repeat)
    if "spillway" in options.middles:
        _say("direct mode")
        calls = _QUICK_CALLS if options.quick else direct.CALLS
        run.placed = await direct.measure(calls, direct.STREAMS, options.seconds)
    if options.streams:
        for name in options.middles:
            # A stream of OpenAI's API is a connection of its own, and none of the three processes
            # can be given ten thousand.
            held = MIDDLES[name].api == "vllm" and name != DIRECT["vllm"]
            if held and name not in run.missing:
                _say(f"{options.streams} open streams, {name}")
                run.held[name] = await hold(name, options.streams, options.programs)


async def _in_turn(options: argparse.Namespace, run: Run, load: Load, repeat: int) -> None:
    """One load through every middle, so that a noisy minute is shared by all of them."""
    for name in options.middles:
        if name in run.missing:
            continue
        _say(f"repeat {repeat + 1}/{options.repeats}: {load.name}, {name}")
        try:
            one = await measure(load, name, repeat, options.seconds, options.programs)
        except MissingError as error:
            run.missing[name] = str(error)
        else:
            run.measured.append(one)


def _say(line: str) -> None:
    if sys.stderr.isatty():
        print(line, file=sys.stderr)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dataplane", description=__doc__)
    parser.add_argument("--loads", nargs="*", choices=[load.name for load in LOADS], default=[])
    parser.add_argument("--middles", nargs="*", choices=MIDDLES, default=list(MIDDLES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each measurement")
    parser.add_argument("--streams", type=int, default=10_000, help="held open for their memory")
    parser.add_argument("--programs", type=Path, help="a folder with rivals' programs")
    parser.add_argument("--quick", action="store_true", help="one repeat of a second each")
    parser.add_argument("--out", type=Path, help="write the result as JSON here")
    parser.add_argument("--picture", type=Path, help="draw the result here")
    add_option(parser)
    options = parser.parse_args()
    if options.quick:
        options.repeats, options.seconds, options.streams = 1, _QUICK_S, _QUICK_STREAMS
    return options


def main() -> int:
    """Run the command; the exit status."""
    options, run = _options(), Run()
    try:
        asyncio.run(_run(options, run))
    except KeyboardInterrupt:
        print("benchmarks.dataplane: interrupted", file=sys.stderr)
        return 130
    except RuntimeError as error:  # what was measured before is shown all the same
        run.broke_off = str(error)
    of_loads = medians(run.measured)
    shown = show(of_loads, run.held)
    if run.placed is not None:
        print(*direct.sentences(run.placed), sep="\n")
    for reason in run.missing.values():
        print(f"Left out: {reason}.")
    if options.out is not None:
        write_json(
            options.out,
            {
                "measured": [asdict(one) for one in run.measured],
                "held": {name: asdict(one) for name, one in run.held.items()},
                "rivals": run.versions | run.missing,
                "direct": asdict(run.placed) if run.placed is not None else None,
            },
        )
    if options.picture is not None:
        draw(of_loads, options.picture)
    if options.html is not None:
        drawn = picture("Each middle, load by load", lambda path: draw(of_loads, path))
        placed = [] if run.placed is None else direct.sentences(run.placed)
        missing = [f"Left out: {reason}." for reason in run.missing.values()]
        asked = vars(options) | run.versions
        write_page(options.html, "The data plane", shown, asked, [drawn], [*placed, *missing])
    if run.broke_off:
        print(f"benchmarks.dataplane: {run.broke_off}", file=sys.stderr)
        return 2
    errors = [one.errors for one in run.measured] + [one.errors for one in run.held.values()]
    return 1 if any(errors) else 0


if __name__ == "__main__":
    sys.exit(main())
