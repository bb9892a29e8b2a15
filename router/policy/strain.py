"""How hard home is pressed: what holds back moves in both directions.

Pressure is the recent share of warm requests, those with something cached at home, for which home
was predicted to miss. While there is any, what is cheap to move leaves a little before the
objective is reached, so that what is dear to move finds room: trunk reservation, as telephone
exchanges do it. How dear is measured by the tokens that are cached at home, against what is usual
there. Without pressure nothing is held back: home first. Misses of new requests are no pressure, as
they have nothing to lose by leaving.

Calm is how long home has gone without strain, for each class; sessions return only after a while of
it, so that the return itself does not bring the strain back.
"""

from collections.abc import Container, Sequence

from router.policy.candidate import Candidate
from router.policy.ewma import Ewma
from router.policy.need import Need
from router.policy.units import NS_PER_S

_PRESSURE_TAU_NS = 5 * NS_PER_S
_FORGOTTEN_NS = 10 * _PRESSURE_TAU_NS  # then nothing is left of a miss
_FULL_SHARE = 0.1  # of warm requests missed, at which all of the reserve is held back
_USUAL_GAIN = 1 / 64
_EVER = 1 << 62


class Strain:
    """The state of home as the last requests found it."""

    __slots__ = ("_missed_ns", "_pressure", "_reserve", "_strained_ns", "_usual_tokens")

    def __init__(self, reserve: float) -> None:
        self._reserve = reserve
        self._pressure = Ewma(_PRESSURE_TAU_NS)
        self._usual_tokens = 0.0  # cached at home, for a request that has any
        self._missed_ns = -_EVER
        self._strained_ns: dict[str, int] = {}

    def adopt(self, reserve: float, classes: Container[str]) -> None:
        """The reserve is another, and these are the classes that there are."""
        self._reserve = reserve
        self._strained_ns = {k: at for k, at in self._strained_ns.items() if k in classes}

    def pressure_at(self, now: int) -> float:
        """How much of the reserve is called for, 0 to 1."""
        return min(1.0, self._pressure.value_at(now) / _FULL_SHARE)

    def share_at(self, cached_tokens: int, now: int) -> float:
        """The share of the objective that a request with so many tokens cached at home may use."""
        if now - self._missed_ns > _FORGOTTEN_NS:
            return 1.0
        held_back = self._reserve * self.pressure_at(now)
        if cached_tokens > 0:
            held_back *= self._usual_tokens / (self._usual_tokens + cached_tokens)
        return 1.0 - held_back

    def calm_ns(self, slo: str, now: int) -> int:
        """How long home has been without strain for this class."""
        strained_ns = self._strained_ns.get(slo)
        return _EVER if strained_ns is None else now - strained_ns

    def observe(
        self, need: Need | None, candidates: Sequence[Candidate], margin: float, now: int
    ) -> None:
        """A request found home like this; `margin` is the share of the objective that is calm."""
        if need is None:
            return
        meets = False
        cached_tokens = 0
        wait_ns = _EVER
        for candidate in candidates:
            if candidate.home and not candidate.excluded:
                meets = meets or candidate.meets_objective
                cached_tokens = max(cached_tokens, candidate.cached_tokens)
                # A long prompt alone is no strain: what stands before it is home's own condition.
                wait_ns = min(wait_ns, candidate.network_ns + candidate.queue_ns)
        if cached_tokens:
            self._usual_tokens += _USUAL_GAIN * (cached_tokens - self._usual_tokens)
            if not meets:
                self._missed_ns = now
            if now - self._missed_ns <= _FORGOTTEN_NS:
                self._pressure.add(0.0 if meets else 1.0, now)
        if not meets or wait_ns > margin * need.objective_ns:
            self._strained_ns[need.slo.name] = now
