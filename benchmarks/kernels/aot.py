"""`aot`: compile every kernel variant a runtime would choose, and show what became of it.

No GPU is needed: the Triton wheel carries the assembler and the disassembler. Each Triton runs in
a process of its own, so several versions can be looked at in one run.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.kernels.compiled import Compiled
from benchmarks.kernels.expectations import comparison, faults
from benchmarks.report import print_table, write_json
from benchmarks.report_page import add_option, write_page
from spillway.progress import Progress

CAPABILITIES = (80, 90)
COLUMNS = (
    *("kernel", "regs", "spills", "stack B", "shared KiB", "warps", "wgmma", "mma", "cp.async"),
    *("bulk", "KV tiles", "programs/SM", "KiB ahead/SM", "instr/tile", "instr/pair"),
)
NOTE = (
    "KiB ahead/SM: KV bytes in flight on a multiprocessor while each of its programs attends a "
    "tile. instr/pair: thread instructions of the tile loop for each pair of query row and key."
)


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the `aot` command to a command line."""
    parser = commands.add_parser("aot", help="what the kernels compile to", description=__doc__)
    parser.add_argument(
        "--triton",
        type=Path,
        action="append",
        default=[],
        help="folder of another Triton (pip install --no-deps --target FOLDER triton==...), beside"
        " the installed one; may be repeated",
    )
    parser.add_argument(
        "--capability", type=int, nargs="*", default=CAPABILITIES, choices=CAPABILITIES
    )
    parser.add_argument("--only", nargs="*", default=[""], help="parts of operation/variant")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    add_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print a table for each Triton and architecture; 1 if an expectation is missed."""
    kernels: list[Compiled] = []
    errors: list[str] = []
    shown, notes = [], []
    for folder in (None, *args.triton):
        for capability in args.capability:
            compiled, failed = compile_all(folder, capability, args.only)
            kernels += compiled
            errors += failed
            if compiled:
                title = f"sm_{capability}, Triton {compiled[0].triton}"
                rows = [_row(kernel) for kernel in compiled]
                shown.append(print_table(title, COLUMNS, rows, note=NOTE))
                for ours, rival, ratio in comparison(compiled):
                    notes.append(
                        f"{rival} takes {ratio} times the instructions of {ours} for a pair."
                    )
                    print(notes[-1])
    found = [*errors, *faults(kernels)]
    for fault in found:
        print(f"FAULT {fault}")
    if args.json:
        write_json(args.json, {"kernels": [_plain(kernel) for kernel in kernels], "faults": found})
    if args.html:
        asked = {key: value for key, value in vars(args).items() if key != "run"}
        write_page(args.html, "What the kernels compile to", shown, asked, notes=[*found, *notes])
    return 1 if found else 0


def compile_all(
    triton: Path | None, capability: int, only: Sequence[str] = ("",)
) -> tuple[list[Compiled], list[str]]:
    """Compile with one Triton for one architecture, in a process of its own.

    Args:
        triton: the folder that holds it, or None for the installed one.
        capability: 80 or 90.
        only: parts of titles; a kernel with any of them is compiled.

    Returns:
        What compiled, and a sentence for each variant that did not.
    """
    kernels, errors = [], []
    with Progress(f"kernels for sm_{capability}") as progress:
        for line in progress.each(_worker_lines(triton, capability, only)):
            if "error" in line:
                place = f"{line['title']} for sm_{capability}"
                errors.append(f"{place} does not compile: {line['error']}")
            else:
                kernels.append(Compiled(**line))
    return kernels, errors


def _worker_lines(
    triton: Path | None, capability: int, only: Sequence[str]
) -> Iterator[dict[str, Any]]:
    command = [sys.executable, "-m", "benchmarks.kernels.aot_worker"]
    options = ["--capability", str(capability), "--only", *only]
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    environment["TRITON_DEFAULT_FP_FUSION"] = "1"  # what 3.9 does unasked, with a warning
    if triton is not None:
        paths = [str(triton.resolve()), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    with subprocess.Popen(
        [*command, *options], env=environment, stdout=subprocess.PIPE, text=True
    ) as worker:
        assert worker.stdout is not None  # noqa: S101 - asked for above
        for line in worker.stdout:
            yield json.loads(line)
    if worker.returncode:
        raise RuntimeError(f"the compiling process ended with status {worker.returncode}")


def _row(kernel: Compiled) -> list[str]:
    counts = kernel.instructions
    return [
        kernel.title,
        *(str(n) for n in (kernel.registers, kernel.spills, kernel.stack_bytes)),
        f"{kernel.shared_bytes / 1024:.0f}",
        *(str(n) for n in (kernel.warps, counts["wgmma"], counts["mma"], counts["cp_async"])),
        str(counts["bulk_load"]),
        str(kernel.kv_buffers or ""),
        str(kernel.resident),
        f"{kernel.bytes_ahead / 1024:.0f}" if kernel.attends else "",
        *(str(n or "") for n in (kernel.tile_instructions, kernel.per_pair)),
    ]


def _plain(kernel: Compiled) -> dict[str, object]:
    return {name: getattr(kernel, name) for name in Compiled.__slots__}
