"""What is at an endpoint: this router's own requests exactly, the others' from its reports.

A load report counts everybody's requests, and it is late. What this router itself sent and saw end
since then is not in it. So the report is not used as it stands: own requests that it must have
counted are taken off, what remains are the others', and to those the router's own present count is
added. Own dispatches thus count at once and own completions too, however old the report.

The others' part is trusted fully while the report is fresh, then less and less, and once it is
stale the endpoint is assumed to have what it had on average: neither what it had last, for ever,
nor a full queue at once. How long that takes is learned: a load that wanders far between two
reports makes a report old sooner. `report_fresh_ns` and `report_stale_ns` are the longest it may
take.

How fast the others' part has been seen to change also says how far it may be off by now; that doubt
is what keeps many routers with the same late report from all choosing the endpoint that looked
best.
"""

from router.policy.ewma import Ewma
from router.policy.fleet import Limits
from router.policy.load import LoadReport
from router.policy.units import NS_PER_S

_MEAN_TAU_NS = 60 * NS_PER_S
_CHANGE_TAU_NS = 10 * NS_PER_S
_KV_FULL = 0.9  # share of the cache in use at which it is what holds requests back


class Occupancy:
    """The other routers' requests at one endpoint, as of its last load report."""

    __slots__ = (
        "_change",
        "_fresh_max_ns",
        "_mean",
        "_moved",
        "_spread",
        "_stale_max_ns",
        "_stale_ns",
        "change_per_ns",
        "fresh_ns",
        "heard_ns",
        "mean",
        "others",
        "others_tokens",
        "report",
        "slots",
    )

    def __init__(self, limits: Limits) -> None:
        self.fresh_ns = self._fresh_max_ns = limits.report_fresh_ns
        self._stale_ns = self._stale_max_ns = limits.report_stale_ns
        self._spread = Ewma(_CHANGE_TAU_NS)
        self._moved = Ewma(_CHANGE_TAU_NS)
        self._mean = Ewma(_MEAN_TAU_NS, prior_weight=0.0)
        self._change = Ewma(_CHANGE_TAU_NS)
        self.report: LoadReport | None = None
        self.heard_ns = 0
        self.others = 0  # requests of others, running or waiting
        self.others_tokens = 0.0  # their prompt tokens still to be prefilled
        self.mean = 0.0
        self.change_per_ns = 0.0  # how fast `others` changes
        self.slots = 0  # requests that run at once; 0: unknown, taken as no limit

    def adopt(self, limits: Limits) -> None:
        """The bounds are others; what was learned below them stays."""
        unlearned = self.fresh_ns == self._fresh_max_ns and self._stale_ns == self._stale_max_ns
        self._fresh_max_ns, self._stale_max_ns = limits.report_fresh_ns, limits.report_stale_ns
        if unlearned:
            self.fresh_ns, self._stale_ns = self._fresh_max_ns, self._stale_max_ns
        self.fresh_ns = min(self.fresh_ns, self._fresh_max_ns)
        self._stale_ns = max(self.fresh_ns + 1, min(self._stale_ns, self._stale_max_ns))

    def hear(self, report: LoadReport, own: int, own_tokens: float, now: int) -> bool:
        """Take in a report that counts `own` of this router's requests, with `own_tokens` to come.

        False if the report is a duplicate or overtaken by one already heard.
        """
        last = self.report
        same = last is not None and last.instance == report.instance
        if last is not None and same and report.sequence <= last.sequence:
            return False
        others = max(0, report.running + report.waiting - own)
        if same and now > self.heard_ns:
            self._learn(others, now)
        self.others = others
        self.others_tokens = max(0, report.queued_prefill_tokens - own_tokens)
        self._mean.add(others, now)
        self.mean = self._mean.value_at(now)
        self.slots = _slots(report, self.slots if same else 0)
        self.report = report
        self.heard_ns = now
        return True

    def _learn(self, others: int, now: int) -> None:
        """How fast others' load changes, and how long what a report says is still telling."""
        elapsed = now - self.heard_ns
        self._change.add(abs(others - self.others) / elapsed, now)
        self.change_per_ns = self._change.value_at(now)
        before, after = self.others - self.mean, others - self.mean
        self._spread.add(before * before, now)
        self._moved.add((after - before) ** 2 / elapsed, now)
        moved = self._moved.value_at(now)
        if moved > 0.0:
            # The time in which it moves as far as it is spread around its mean.
            lasts_ns = 2.0 * self._spread.value_at(now) / moved
            self.fresh_ns = int(min(self._fresh_max_ns, lasts_ns / 4))
            self._stale_ns = int(max(self.fresh_ns + 1, min(self._stale_max_ns, 2 * lasts_ns)))

    def weight_at(self, now: int) -> float:
        """How much the last report is worth: 1 fresh, 0 stale, and 0 before the first."""
        if self.report is None:
            return 0.0
        return 1.0 - _share(now - self.heard_ns, self.fresh_ns, self._stale_ns)

    def silence_at(self, now: int) -> float:
        """How far the endpoint has fallen silent: 0 while reports may be expected, 1 at most."""
        return _share(now - self.heard_ns, self._fresh_max_ns, self._stale_max_ns)


def _share(age_ns: int, start_ns: int, end_ns: int) -> float:
    """How far an age has got from a start to an end, 0 to 1."""
    if age_ns <= start_ns:
        return 0.0
    return 1.0 if age_ns >= end_ns else (age_ns - start_ns) / (end_ns - start_ns)


def _slots(report: LoadReport, known: int) -> int:
    """How many requests run at once, from what a report states or shows."""
    if not report.running_max:
        # Unstated: it is at least what ran, and is learned at all only while something waits.
        return max(known, report.running) if known or report.waiting else 0
    slots = max(1, round(report.running_max * (1.0 - report.lent_share)))
    if report.waiting and report.running and report.kv_usage >= _KV_FULL:
        return min(slots, report.running)  # cache memory is what holds requests back
    return slots
