"""Fit hardware profiles from splitwise-sim's measurements: `router.sim.hardware` holds the result.

    python -m benchmarks.routing.fit --traces DIR

`DIR/splitwise_sim/perf_model.csv` has a row for each repeat of a measurement: prompt and token time
in milliseconds, by model, hardware, prompt, batch and answer.

What attention costs is arithmetic, and not fitted: the measurements are of prompts of at most 8,192
tokens, of long contexts only one at a time, and cannot tell it from noise. For a pair of tokens
Llama2-70B multiplies twice 8,192 numbers in each of 80 layers, at half of what the GPUs can do. A
token of context is 328 kB to be read in every step, at six tenths of the memory's bandwidth.
"""

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import report

HARDWARE = {"a100-80gb": (312e12, 2.04e12), "h100-80gb": (990e12, 3.35e12)}
"""Dense bfloat16 operations, and bytes from memory, per second of one GPU."""

_FLOP_PER_PAIR = 2 * 8_192 * 80  # half of the square is masked, and a product is two operations
_BYTES_PER_TOKEN = 80 * 8 * 128 * 2 * 2  # layers, heads, their size, keys and values, two bytes

MEASUREMENTS = Path("splitwise_sim/perf_model.csv")


class FitError(ValueError):
    """Measurements that cannot be fitted."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Coefficients in milliseconds, and the mean relative errors of the two fits."""

    prefill_base: float
    prefill_token: float
    prefill_pair: float
    decode_base: float
    decode_seq: float
    decode_context: float
    prefill_error: float
    decode_error: float


def fit(traces: Path, hardware: str, *, model: str = "llama2-70b", tensor_parallel: int = 8) -> Fit:
    """The step costs of some hardware. FitError where there is nothing to fit."""
    path = traces / MEASUREMENTS
    try:
        with path.open(encoding="utf-8", newline="") as file:
            wanted = (model, hardware, str(tensor_parallel))
            rows = [
                row
                for row in csv.DictReader(file)
                if (row["model"], row["hardware"], row["tensor_parallel"]) == wanted
            ]
        prompts = [_numbers(row, "prompt_size", "batch_size", "prompt_time") for row in rows]
        answers = [
            _numbers(row, "prompt_size", "batch_size", "token_size", "token_time") for row in rows
        ]
    except (OSError, KeyError, ValueError) as error:
        raise FitError(f"{path}: {error}") from error
    if not rows:
        raise FitError(f"{path}: no measurement of {model} on {hardware}, TP {tensor_parallel}")
    flop_per_s, bytes_per_s = (tensor_parallel * rate for rate in HARDWARE[hardware])
    pair_ms = _FLOP_PER_PAIR / (0.5 * flop_per_s) * 1_000
    context_ms = _BYTES_PER_TOKEN / (0.6 * bytes_per_s) * 1_000
    prefill, prefill_error = _least_squares(
        [(1.0, batch * prompt) for prompt, batch, _ms in prompts],
        [ms for *_, ms in prompts],
        [batch * prompt * prompt * pair_ms for prompt, batch, _ms in prompts],
    )
    decode, decode_error = _least_squares(
        [(1.0, batch) for _prompt, batch, _answer, _ms in answers],
        [ms for *_, ms in answers],
        # In the middle of the answer, half of it is context.
        [batch * (prompt + answer / 2) * context_ms for prompt, batch, answer, _ms in answers],
    )
    prefill_base, prefill_token = prefill
    decode_base, decode_seq = decode
    return Fit(
        prefill_base,
        prefill_token,
        pair_ms,
        decode_base,
        decode_seq,
        context_ms,
        prefill_error,
        decode_error,
    )


def _numbers(row: dict[str, str], *names: str) -> tuple[float, ...]:
    return tuple(float(row[name]) for name in names)


def _least_squares(
    features: Sequence[Sequence[float]], times_ms: Sequence[float], known_ms: Sequence[float]
) -> tuple[list[float], float]:
    """Coefficients of at least zero with the least relative error, and its mean.

    `known_ms` is the part of each time that is not to be explained.
    """
    matrix, times, known = np.array(features), np.array(times_ms), np.array(known_ms)
    kept = list(range(matrix.shape[1]))
    while True:
        scaled = matrix[:, kept] / times[:, None]
        found = np.linalg.lstsq(scaled, 1 - known / times, rcond=None)[0]
        if (found >= 0).all():
            break
        kept.pop(int(found.argmin()))  # a negative cost is noise: without its term, fit the rest
    coefficients = np.zeros(matrix.shape[1])
    coefficients[kept] = found
    error = np.abs((matrix @ coefficients + known) / times - 1).mean()
    return [float(value) for value in coefficients], float(error)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the fits of the two kinds of hardware that the scenarios use."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--traces", type=Path, required=True, help="the folder of the data")
    options = parser.parse_args(arguments)
    rows = []
    for hardware in HARDWARE:
        found = fit(options.traces, hardware)
        rows.append(
            [
                hardware,
                f"{found.prefill_base:.3f}",
                f"{found.prefill_token:.6f}",
                f"{found.prefill_pair:.3e}",
                f"{found.prefill_error:.1%}",
                f"{found.decode_base:.3f}",
                f"{found.decode_seq:.5f}",
                f"{found.decode_context:.3e}",
                f"{found.decode_error:.1%}",
            ]
        )
    report.print_table(
        "Llama2-70B, TP 8: step costs in milliseconds",
        (
            *("hardware", "prefill base", "a token", "a pair", "error"),
            *("decode base", "a sequence", "a context token", "error"),
        ),
        rows,
    )


if __name__ == "__main__":
    main()
