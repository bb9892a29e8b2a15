"""How one result stands to another: ratios, and how far chance alone could have moved them.

The spread is that of a bootstrap: both results are drawn anew, with what belongs together (the
turns of a session, one repeat) drawn as one, and the middle nine tenths of the ratios are kept. A
spread with 1 in it is no difference that these two runs show.
"""

import math
import random
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.serving.summary import quantile
from spillway.progress import Progress

DRAWS: Final = 200
"""Of each result: the ends of the spread are then some percent uncertain themselves."""

TURNS_MAX: Final = 200_000
"""Of one result; more would take minutes."""

LEAVES_MAX: Final = 500
"""Figures of a result of no known shape."""

Turn = Mapping[str, Any]


class UnlikeError(ValueError):
    """Two results that cannot be compared; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """One measure of two results. The spread is None where a result has it but once."""

    measure: str
    before: float
    after: float
    spread: tuple[float, float] | None = None

    @property
    def value(self) -> float | None:
        """After over before; None where there was nothing before."""
        return self.after / self.before if self.before else None

    @property
    def verdict(self) -> str:
        """Whether these runs show a difference."""
        if self.spread is None:
            return "" if self.before == self.after else "once each"
        low, high = self.spread
        return "higher" if low > 1 else "lower" if high < 1 else "no difference shown"


def ratios(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Ratio]:
    """Every measure that both results have. Raises UnlikeError where there is none."""
    for shape in (_turns, _repeats, _leaves):
        found = shape(before, after)
        if found:
            return found
    raise UnlikeError("the two results have no figure in common")


def _turns(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Ratio]:
    """Two runs of `benchmarks.serving`, by their turns."""
    runs: list[Any] = [result.get("turns") for result in (before, after)]
    if not all(isinstance(run, list) and run for run in runs):
        return []
    if any(len(run) > TURNS_MAX for run in runs):
        raise UnlikeError(f"a result has more than {TURNS_MAX} turns")
    sessions = [_by_session(run) for run in runs]
    durations = [float(result["summary"]["duration_s"]) for result in (before, after)]
    rng = random.Random(0)
    drawn: list[list[dict[str, float]]] = [[], []]
    with Progress("drawn anew", DRAWS) as progress:
        for _ in progress.each(range(DRAWS)):
            _draw(drawn, sessions, durations, rng)
    whole = [_measures(run, duration_s) for run, duration_s in zip(runs, durations, strict=True)]
    return [
        Ratio(
            name,
            whole[0][name],
            whole[1][name],
            _spread([one[name] for one in drawn[0]], [one[name] for one in drawn[1]]),
        )
        for name in whole[0]
    ]


def _draw(
    drawn: Sequence[list[dict[str, float]]],
    sessions: Sequence[Sequence[Sequence[Turn]]],
    durations: Sequence[float],
    rng: random.Random,
) -> None:
    """Draws both runs anew, session by session, and adds what they come to."""
    for found, groups, duration_s in zip(drawn, sessions, durations, strict=True):
        turns = [turn for group in rng.choices(groups, k=len(groups)) for turn in group]
        found.append(_measures(turns, duration_s))


def _by_session(turns: Sequence[Turn]) -> list[list[Turn]]:
    groups: dict[str, list[Turn]] = defaultdict(list)
    for turn in turns:
        groups[str(turn["session"])].append(turn)
    return list(groups.values())


def _measures(turns: Sequence[Turn], duration_s: float) -> dict[str, float]:
    done = [turn for turn in turns if turn["status"] == "OK"]
    ttft = [turn["ttft_s"] for turn in done if turn["ttft_s"] is not None]
    ends = [turn["end_to_end_s"] for turn in done]
    gaps = [
        (turn["end_to_end_s"] - turn["ttft_s"]) / (turn["output_tokens"] - 1)
        for turn in done
        if turn["ttft_s"] is not None and turn["output_tokens"] > 1
    ]
    found = {"answered turns, share": len(done) / len(turns)}
    for name, values in (("TTFT", ttft), ("time per token", gaps), ("whole answer", ends)):
        for share in (50, 90, 99):
            found[f"{name} p{share}, s"] = quantile(values, share / 100)
    found["tokens/s"] = sum(turn["output_tokens"] for turn in done) / max(duration_s, 1e-9)
    return found


def _repeats(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Ratio]:
    """Two results of repeats (`measured`), each row with its names and its figures."""
    runs: list[Any] = [result.get("measured") for result in (before, after)]
    if not all(isinstance(run, list) and run for run in runs):
        return []
    first, second = (dict(_samples(run)) for run in runs)
    rng = random.Random(0)
    return [
        Ratio(
            key,
            statistics.median(values),
            statistics.median(second[key]),
            _drawn_spread(values, second[key], rng),
        )
        for key, values in first.items()
        if key in second
    ]


def _samples(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[float]]]:
    found: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        names = " ".join(str(v) for v in row.values() if isinstance(v, str | bool))
        for key, value in row.items():
            if key != "repeat" and _is_figure(value):
                found[f"{names}: {key}".removeprefix(": ")].append(float(value))
    yield from found.items()


def _drawn_spread(
    before: Sequence[float], after: Sequence[float], rng: random.Random
) -> tuple[float, float] | None:
    if min(len(before), len(after)) < 2:
        return None

    def again(values: Sequence[float]) -> list[float]:
        return [statistics.median(rng.choices(values, k=len(values))) for _ in range(DRAWS)]

    return _spread(again(before), again(after))


def _spread(before: Sequence[float], after: Sequence[float]) -> tuple[float, float] | None:
    found = sorted(b / a for a, b in zip(before, after, strict=True) if a)
    if not found:
        return None
    cut = len(found) // 20
    return found[cut], found[-1 - cut]


def _leaves(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Ratio]:
    """Two results of any other shape: what has the same place in both, once each."""
    second = dict(_figures(after, ""))
    found = [
        Ratio(path, value, second[path]) for path, value in _figures(before, "") if path in second
    ]
    return found[:LEAVES_MAX]


def _figures(value: Any, path: str) -> Iterator[tuple[str, float]]:
    if _is_figure(value):
        yield path, float(value)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if path or key not in {"environment", "options"}:
                yield from _figures(inner, f"{path}.{key}".removeprefix("."))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _figures(inner, f"{path}[{place}]")


def _is_figure(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)
