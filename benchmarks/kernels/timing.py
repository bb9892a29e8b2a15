"""`time`: check every kernel on every problem, then time it beside its rivals.

The machine's two ceilings come first: a copy, and a matrix product. No time is given for a kernel
whose check failed in this run. Without a GPU the problems shrink to what Triton's interpreter can
do: they are checked, and nothing is timed.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.kernels.timing_table import floor_us, grid, lines
from benchmarks.report import Table, write_json
from benchmarks.report_page import add_option, picture, write_page

UNMEASURED = "No GPU here: correctness was checked on tiny problems, and no speed was measured."


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `time` command to a command line."""
    parser = commands.add_parser("time", help="how fast the kernels are", description=__doc__)
    parser.add_argument("--only", nargs="+", default=[""], help="parts of names of problems")
    parser.add_argument("--fa3", type=_file, help="FlashAttention-3: _vllm_fa3_C.abi3.so")
    parser.add_argument("--vllm", type=_folder, help="folder `vllm` of an unpacked wheel")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--picture", type=Path, help="where to draw the roofline, a .png")
    add_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the table; 1 if a check of ours failed, the worker died, or no problem was chosen."""
    command = [sys.executable, "-m", "benchmarks.kernels.timing_worker", "--only", *args.only]
    for rival in ("fa3", "vllm"):
        if path := getattr(args, rival):
            command += [f"--{rival}", str(path)]
    done = subprocess.run(
        command, env=worker_environment(), stdout=subprocess.PIPE, text=True, check=False
    )
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if not found:
        print(f"the worker ended with {done.returncode} before it measured", file=sys.stderr)
        return 1
    machine, problems = found[0], found[1:]
    for text in lines(machine, problems):
        print(text)
    if "device" not in machine:
        print(UNMEASURED)
    if args.json:
        write_json(args.json, {"machine": machine, "problems": problems})
    if args.picture:
        _draw(machine, problems, args.picture)
    if args.html:
        _write_page(machine, problems, args)
    if not problems:
        print(f"no problem is named like {' or '.join(args.only)}", file=sys.stderr)
    failed = done.returncode or not problems or not all(p["checked"] for p in problems)
    return int(bool(failed))


def _write_page(
    machine: dict[str, Any], problems: Sequence[dict[str, Any]], args: argparse.Namespace
) -> None:
    roofline = []
    if "device" in machine:
        with contextlib.suppress(
            ImportError
        ):  # of matplotlib; _draw has said so where it was asked
            roofline.append(
                picture("Roofline", lambda path: _draw(machine, problems, path), dark=False)
            )
    table = Table("Kernels and their rivals", *grid(machine, problems))
    asked = {key: value for key, value in vars(args).items() if key != "run"}
    write_page(args.html, "Kernels", [table], {**asked, **machine}, roofline)


def worker_environment() -> dict[str, str]:
    """The worker's: Triton compiles where there is a GPU, and interprets elsewhere."""
    import torch  # noqa: PLC0415 - a second's work that parsing arguments need not wait for

    interpreted = {"TRITON_INTERPRET": "1"}
    inherited = {k: v for k, v in os.environ.items() if k not in interpreted}
    return inherited if torch.cuda.is_available() else inherited | interpreted


def _draw(machine: dict[str, Any], problems: Sequence[dict[str, Any]], path: Path) -> None:
    if "device" not in machine:
        print("no roofline: there is no speed to draw")
        return
    try:
        from benchmarks.kernels.timing_picture import draw  # noqa: PLC0415 - needs matplotlib
    except ImportError as error:
        print(f"no roofline: {error}")
        return
    draw(machine, [(p, floor_us(machine, p)) for p in problems], path)


def _file(text: str) -> Path:
    path = Path(text)
    if not path.is_file():
        raise argparse.ArgumentTypeError(f"{path} is no file")
    return path.resolve()


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is no folder")
    return path.resolve()
