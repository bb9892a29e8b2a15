"""When an endpoint was last heard of, and how long it has been silent before and spoken again."""

from router.policy.silence import LongestSilence
from router.policy.stall import SILENCE_PRIOR_NS
from router.policy.units import NS_PER_MS

_REPORT_PRIOR_NS = 250 * NS_PER_MS
_MISSED = 2.0  # times the longest silence between two reports: one may be lost, not two
_GRACE_NS = 50 * NS_PER_MS  # a scheduler's hiccup
_NEVER = -(1 << 62)


class Liveness:
    """The signs of life of one endpoint: its load reports, and the tokens of its streams."""

    __slots__ = ("_between_reports", "_heard_ns", "prefill_ns", "tokens")

    def __init__(self) -> None:
        self._between_reports = LongestSilence(_REPORT_PRIOR_NS)
        self._heard_ns = _NEVER
        self.tokens = LongestSilence(SILENCE_PRIOR_NS)  # of streams
        self.prefill_ns = 0.0  # the most that stood before the tokens of streams now silent

    def on_report(self, now: int) -> None:
        """A report came, whatever it says and however late."""
        if self.has_reported:
            self._between_reports.add(now - self._heard_ns, now)
        self._heard_ns = now

    def on_lost(self) -> None:
        """The connection is lost; reports begin anew with the next."""
        self._heard_ns = _NEVER

    @property
    def has_reported(self) -> bool:
        """Whether it has on this connection."""
        return self._heard_ns > _NEVER

    def is_silent(self, now: int) -> bool:
        """Whether reports have failed to come for longer than they are known to."""
        usual_ns = _MISSED * self._between_reports.value_at(now) + _GRACE_NS
        return self.has_reported and now - self._heard_ns > usual_ns
