"""The table of `time`: pure, plain text, so that it needs no library on a bare GPU machine."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

OURS = "spillway"


def floor_us(machine: Mapping[str, Any], problem: Mapping[str, Any]) -> float:
    """The least time that the measured ceilings allow, microseconds."""
    read_s: float = problem["bytes"] / machine["copy_bytes_s"]
    computed_s: float = problem["operations"] / machine["matmul_ops_s"]
    return 1e6 * max(read_s, computed_s)


def lines(machine: Mapping[str, Any], problems: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Ceilings, one row for each problem, then what failed or is missing."""
    if "device" in machine:
        yield (
            f"{machine['device']}: copy {machine['copy_bytes_s'] / 1e12:.2f} TB/s, "
            f"bf16 product {machine['matmul_ops_s'] / 1e12:.0f} TFLOP/s"
        )
    columns, found = grid(machine, problems)
    rows = [columns, *found]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    for row in rows:
        cells = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        yield "  ".join([row[0].ljust(widths[0]), *cells]).rstrip()
    for problem in problems:
        for name, fault in problem["faults"].items():
            yield f"FAILED {problem['shape']}, {name}: {fault}"
    for name, reason in machine["missing"].items():
        yield f"rival not here, {name}: {reason}"


def grid(
    machine: Mapping[str, Any], problems: Sequence[Mapping[str, Any]]
) -> tuple[list[str], list[list[str]]]:
    """The columns, and a row for each problem."""
    rivals = sorted({name for p in problems for name in p["us"]} - {OURS})
    columns = ["problem", "us", "rate", "of ceiling", *(f"us {name}" for name in rivals)]
    return columns, [_row(machine, problem, rivals) for problem in problems]


def _row(
    machine: Mapping[str, Any], problem: Mapping[str, Any], rivals: Sequence[str]
) -> list[str]:
    """Our time, its rate, its share of the ceiling; each rival's time over ours."""
    us = problem["us"].get(OURS)
    if us is None:
        verdict = "right" if problem["checked"] else "WRONG"
        return [problem["shape"], verdict, "-", "-", *("-" for _ in rivals)]
    bound_by_bytes = (
        problem["bytes"] / machine["copy_bytes_s"] > problem["operations"] / machine["matmul_ops_s"]
    )
    if bound_by_bytes:
        rate = f"{problem['bytes'] / us / 1e6:.2f} TB/s"
    else:
        rate = f"{problem['operations'] / us / 1e6:.0f} TFLOP/s"
    others = (problem["us"].get(name) for name in rivals)
    return [
        problem["shape"],
        f"{us:.1f}",
        rate,
        f"{100 * floor_us(machine, problem) / us:.0f} %",
        *("-" if other is None else f"{other:.1f} ({other / us:.2f}x)" for other in others),
    ]
