"""What a set of records says: percentiles, rates, goodput, errors and shares."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from benchmarks.serving.record import Record


@dataclass(frozen=True, slots=True)
class Objective:
    """What a good turn keeps, in seconds: TTFT, and the p95 of its gaps between messages."""

    ttft_s: float
    itl_s: float

    def met(self, record: Record) -> bool:
        """Whether this turn was answered whole and in time."""
        if record.status != "OK" or record.right is False or record.ttft_s is None:
            return False
        return record.ttft_s <= self.ttft_s and quantile(record.gaps_s, 0.95) <= self.itl_s


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Of one measure, in seconds; 0 where nothing was measured."""

    p50: float
    p90: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Summary:
    """A run, or the part of it that one site or phase saw."""

    turns: int
    sessions: int
    completed: int
    wrong: int
    errors: dict[str, int]
    duration_s: float
    output_tokens: int
    tokens_per_s: float
    turns_per_s: float
    goodput_turns_per_s: float
    slo_attainment: float
    ttft_s: Percentiles
    itl_s: Percentiles
    time_per_output_token_s: Percentiles
    end_to_end_s: Percentiles
    lag_s_max: float
    share_by_site: dict[str, float]

    def as_json(self) -> dict[str, object]:
        """The same as JSON-able values."""
        return asdict(self)


def summarize(records: Iterable[Record], objective: Objective) -> Summary:
    """The summary of these records; rates are over the time from first send to last end."""
    turns = list(records)
    done = [record for record in turns if record.status == "OK"]
    begun_s = min((record.intended_s for record in turns), default=0.0)
    ended_s = max((record.intended_s + record.end_to_end_s for record in turns), default=0.0)
    duration_s = max(ended_s - begun_s, 1e-9)
    good = sum(objective.met(record) for record in turns)
    tokens = sum(record.output_tokens for record in turns)
    sites = Counter(record.site or "unknown" for record in done)
    return Summary(
        turns=len(turns),
        sessions=len({record.session for record in turns}),
        completed=len(done),
        wrong=sum(record.right is False for record in done),
        errors=dict(Counter(r.status for r in turns if r.status != "OK")),
        duration_s=duration_s,
        output_tokens=tokens,
        tokens_per_s=tokens / duration_s,
        turns_per_s=len(done) / duration_s,
        goodput_turns_per_s=good / duration_s,
        slo_attainment=good / len(turns) if turns else 0.0,
        ttft_s=percentiles([r.ttft_s for r in done if r.ttft_s is not None]),
        itl_s=percentiles([gap for r in done for gap in r.gaps_s]),
        time_per_output_token_s=percentiles(
            [value for r in done if (value := r.time_per_output_token_s) is not None]
        ),
        end_to_end_s=percentiles([r.end_to_end_s for r in done]),
        lag_s_max=max((r.lag_s for r in turns), default=0.0),
        share_by_site={site: count / len(done) for site, count in sorted(sites.items())},
    )


def percentiles(values: Sequence[float]) -> Percentiles:
    """p50, p90, p95 and p99 of the values, all 0 where there are none."""
    return Percentiles(*(quantile(values, share) for share in (0.5, 0.9, 0.95, 0.99)))


def quantile(values: Sequence[float], share: float) -> float:
    """The quantile at a whole percent, interpolated; 0 where there are no values."""
    if not values:
        return 0.0
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[round(share * 100) - 1]
