"""What the records of a run amount to; of each turn only the figures of a percentile are kept."""

import hashlib
from array import array
from collections import Counter
from dataclasses import dataclass

from benchmarks.serving.summary import quantile
from router.policy.fleet import Fleet
from router.policy.units import seconds
from router.sim.record import TurnRecord

SLOW_GAPS_SHARE = 0.05  # the p95 of a turn's gaps is within the objective if no more are above it


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles in seconds, of the turns that were answered."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Summary:
    """One policy's run of one scenario."""

    turns: int
    failed: int  # refused, or cut off
    attainment: float  # share of all turns that kept both objectives
    ttft_s: Latency
    end_to_end_s: Latency
    hit_rate: float  # cached tokens of all prompt tokens
    metered_usd: float
    egress_gib: float
    overflowed: float  # share of turns answered away from home
    moves_per_session: float
    share_by_site: dict[str, float]
    digest: str  # of all records: equal digests are equal runs


class Measures:
    """Collects the records of one run."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._home = {site.name for site in fleet.sites if site.kind.value == "home"}
        self.sent_s = array("d")
        self.ttft_s = array("d")  # of a failed turn -1
        self.kept = array("b")  # 1 where both objectives were kept
        self.sites: list[str] = []  # of a failed turn the empty string
        self._end_to_end_s = array("d")
        self._counts: Counter[str] = Counter()
        self._usd = 0.0
        self._digest = hashlib.blake2b(digest_size=16)

    def add(self, record: TurnRecord) -> None:
        """Take in one turn."""
        answered = not record.refused
        counts = self._counts
        counts["failed"] += not answered
        counts["first turns"] += record.turn == 0
        counts["moves"] += record.moved
        counts["egress bytes"] += record.egress_bytes
        self._usd += record.usd
        self._digest.update(repr(record).encode())
        self.sent_s.append(seconds(record.sent_ns))
        self.kept.append(keeps(record, self._fleet))
        self.ttft_s.append(seconds(record.ttft_ns) if answered else -1.0)
        self.sites.append(record.site if answered else "")
        if answered:
            self._end_to_end_s.append(seconds(record.end_to_end_ns))
            counts["prompt tokens"] += record.prompt_tokens
            counts["cached tokens"] += record.cached_tokens

    def summary(self) -> Summary:
        """Everything that was taken in."""
        counts, turns = self._counts, len(self.sent_s)
        sites = Counter(site for site in self.sites if site)
        answered = max(1, sites.total())
        away = sum(count for site, count in sites.items() if site not in self._home)
        return Summary(
            turns=turns,
            failed=counts["failed"],
            attainment=sum(self.kept) / max(1, turns),
            ttft_s=_latency([ttft_s for ttft_s in self.ttft_s if ttft_s >= 0]),
            end_to_end_s=_latency(self._end_to_end_s.tolist()),
            hit_rate=counts["cached tokens"] / max(1, counts["prompt tokens"]),
            metered_usd=self._usd,
            egress_gib=counts["egress bytes"] / (1 << 30),
            overflowed=away / answered,
            moves_per_session=counts["moves"] / max(1, counts["first turns"]),
            share_by_site={site: count / answered for site, count in sorted(sites.items())},
            digest=self._digest.hexdigest(),
        )


def keeps(record: TurnRecord, fleet: Fleet) -> bool:
    """Whether a turn was answered whole and kept the objectives of its class."""
    if record.refused:
        return False
    slo = fleet.slo(record.slo)
    gaps = record.output_tokens - 1
    return (
        record.ttft_ns <= slo.ttft_objective_ns(record.prompt_tokens)
        and record.slow_gaps <= SLOW_GAPS_SHARE * gaps
    )


def _latency(values: list[float]) -> Latency:
    return Latency(*(quantile(values, share) for share in (0.5, 0.95, 0.99)))
