"""Checks every problem, times it where there is a GPU, and writes what was found as JSON lines.

It is a process of its own because Triton decides at its import whether it compiles or interprets.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.kernels.timing_clock import ceilings, launch_us
from benchmarks.kernels.timing_ours import ours, ours_plain
from benchmarks.kernels.timing_problem import Problem, make_problem
from benchmarks.kernels.timing_rivals import Launch, Rival, find_rivals
from benchmarks.kernels.timing_shapes import SHAPES, Shape
from kernels.spec import AttentionSpec
from kernels.testing import patched_interpreter

#: What an engine would launch, and the prefill kernel without warp specialisation.
OURS, OURS_PLAIN = "spillway", "spillway plain"
#: Pages that the specialised prefill can load, and vLLM's backend prefers.
LAYER = AttentionSpec(32, 8, 128, 128**-0.5, 64, torch.bfloat16)
TINY = AttentionSpec(4, 2, 64, 0.125, 16, torch.bfloat16)
#: Copies of a problem hold at least this, four times the L2 of an H200, and are at most so many.
ROTATED_BYTES, COPIES_MAX = 240 * 1024**2, 8

Make = Callable[[Problem, torch.Tensor], Launch | None]


def main() -> None:
    """One line for the machine, one for each problem."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[""])
    parser.add_argument("--fa3", type=Path)
    parser.add_argument("--vllm", type=Path)
    args = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    rivals = find_rivals(device, args.fa3, args.vllm)
    machine: dict[str, Any] = {"missing": {r.name: r.missing for r in rivals if r.missing}}
    if device == "cuda":
        machine["device"] = torch.cuda.get_device_name()
        machine["copy_bytes_s"], machine["matmul_ops_s"] = ceilings()
    _say(machine)
    repaired = contextlib.nullcontext() if device == "cuda" else patched_interpreter()
    with repaired:
        for shape in SHAPES:
            if any(part in shape.name for part in args.only):
                _say(measure(shape, device, [r for r in rivals if not r.missing]))
                if device == "cuda":
                    torch.cuda.empty_cache()


def measure(shape: Shape, device: str, rivals: list[Rival]) -> dict[str, Any]:
    """Check each kernel on one problem, then time those that are right."""
    actual, spec = (shape, LAYER) if device == "cuda" else (shape.tiny(), TINY)
    problem = make_problem(actual, spec, device)
    copies = [problem, *_others(problem, device)] if device == "cuda" else [problem]
    line: dict[str, Any] = {
        "shape": shape.name,
        "operations": shape.operations(problem.spec),
        "bytes": shape.bytes_read(problem.spec),
        "us": {},
        "faults": {},
    }
    makes: list[tuple[str, Make]] = [(OURS, ours), (OURS_PLAIN, ours_plain)]
    makes += [(rival.name, rival.launch) for rival in rivals]
    for name, make in makes:
        try:
            microseconds = _checked(make, copies, device)
        except Exception as error:  # noqa: BLE001 - one kernel's failure is a result to report
            line["faults"][name] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            continue
        if microseconds is not None:
            line["us"][name] = microseconds
    line["checked"] = line["faults"].keys().isdisjoint({OURS, OURS_PLAIN})
    return line


def _checked(make: Make, copies: list[Problem], device: str) -> float | None:
    """The time of a kernel whose result is right; None where it does not do the problem, or no GPU.

    Raises:
        AssertionError: the result is wrong, so there is no time.
    """
    outs = [problem.out() for problem in copies]
    made = [make(problem, out) for problem, out in zip(copies, outs, strict=True)]
    launches = [launch for launch in made if launch is not None]
    if not launches:
        return None
    result = launches[0]()
    fault = copies[0].fault(outs[0] if result is None else result)
    if fault:
        raise AssertionError(fault)
    return launch_us(launches) if device == "cuda" else None


def _others(problem: Problem, device: str) -> Iterator[Problem]:
    """As many more of the same as it takes to keep the cache from holding them."""
    held = problem.kv_cache.numel() * problem.kv_cache.element_size()
    count = min(COPIES_MAX, max(2, -(-ROTATED_BYTES // held)))
    for seed in range(1, count):
        yield make_problem(problem.shape, problem.spec, device, seed)


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
