"""How long a silence something has survived of late: the measure of whether this one is its last.

What speaks in bursts (an engine between two steps, reports at changes and otherwise at an interval)
has no distribution of gaps that a mean and a deviation describe. Its longest gap of late does: a
silence some times as long as any that ended by itself is not of the usual kind. What was longest
fades, so that one bad moment does not make anything patient for ever; and an endpoint that slows
down under load raises it on the way, by gaps that each end by themselves, before any is mistaken.

Phi-accrual (Hayashibara et al. 2004; Akka's and Cassandra's form fits a normal distribution to the
gaps) was rejected: fitted to reports that come every 10 ms under load and every 500 ms without, it
suspects whoever becomes idle.
"""

from math import exp

from router.policy.units import NS_PER_S

_FADES_MIN_NS = 20 * NS_PER_S
_FADES = 30.0  # times its length: who is slow shows it again within some such silences


class LongestSilence:
    """The longest recent silence that ended by itself, in nanoseconds. Reads do not change it.

    Until one has ended, it is what was believed at first.
    """

    __slots__ = ("_at", "_longest_ns")

    def __init__(self, prior_ns: int) -> None:
        self._longest_ns = float(prior_ns)
        self._at: int | None = None

    def add(self, silence_ns: int, now: int) -> None:
        """A silence of this length has ended."""
        self._longest_ns = max(self.value_at(now), float(silence_ns))
        self._at = now

    def value_at(self, now: int) -> float:
        """The longest as of `now`, faded by its age."""
        if self._at is None:
            return self._longest_ns
        fades_ns = max(_FADES_MIN_NS, _FADES * self._longest_ns)
        return self._longest_ns * exp(min(0, self._at - now) / fades_ns)
