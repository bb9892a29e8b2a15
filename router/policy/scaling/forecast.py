"""What will be asked of a fleet soon, from what is asked now and what usually is.

    forecast(t) = trust * usual(t) * now / usual(now)  +  (1 - trust) * (now + trend * (t - now))

The usual demand (`router.policy.scaling.season`) has the shape of days and weeks; what is asked now
says by how much this day is another one. Before there is a shape, or where it has a hole, the trend
of the last while goes on, less and less. `now` is a mean of the last minutes without the lag of
a mean: two means of unlike memory lag by unlike times, which tells the trend, and by it both.

How far forecasts have been off is kept, too: capacity is planned for the forecast and that much.

A model with more terms (ARIMA, a network) was rejected: the horizon is minutes, in which the level
and its slope are nearly all there is to know, and a wrong forecast must be explained to a person.
"""

from collections import deque
from math import sqrt

from router.policy.ewma import Ewma
from router.policy.scale import AUTOSCALING
from router.policy.scaling.demand import Demand
from router.policy.scaling.memory import Forecasts
from router.policy.scaling.season import Season
from router.policy.units import NS_PER_HOUR

_SLOW = 3.75  # times the level's memory: half an hour beside the usual eight minutes
_RATIO_MAX = 4.0  # a day that is so many times another than usual has no usual shape
_ERROR_TAU_NS = 3 * NS_PER_HOUR
_ERROR_PRIOR = 0.15  # of a forecast, before any was seen to come true
_ERROR_MAX = 0.5  # of one forecast: what nobody could foresee is no reason to pay for hours
_PENDING_MAX = 64


class _Level:
    """One of demand's three parts: what it is and how it moves."""

    __slots__ = ("_fast_tau_ns", "_slow_tau_ns", "fast", "slow")

    def __init__(self, level_ns: int) -> None:
        self._fast_tau_ns, self._slow_tau_ns = level_ns, round(_SLOW * level_ns)
        self.fast = Ewma(self._fast_tau_ns, prior_weight=0.0)
        self.slow = Ewma(self._slow_tau_ns, prior_weight=0.0)

    def add(self, value: float, at: int) -> None:
        self.fast.add(value, at)
        self.slow.add(value, at)

    def ahead(self, by_ns: int, known_ns: int, at: int) -> float:
        """Its value so much later if its trend goes on."""
        fast, slow = self.fast.value_at(at), self.slow.value_at(at)
        # A mean that is younger than its memory lags by half of its age.
        lag_fast = min(self._fast_tau_ns, known_ns / 2.0)
        lag_slow = min(self._slow_tau_ns, known_ns / 2.0)
        if lag_slow <= lag_fast:
            return fast
        per_ns = (fast - slow) / (lag_slow - lag_fast)
        # A trend goes on for as long as the slow mean remembers, the more slowly the later.
        goes_on_ns = self._slow_tau_ns * by_ns / (self._slow_tau_ns + by_ns)
        return max(0.0, fast + per_ns * (lag_fast + goes_on_ns))


class Forecaster:
    """Learns from demand as it is sampled, every few seconds or every minute alike."""

    __slots__ = ("_error", "_level_ns", "_levels", "_pending", "_season", "_since_ns")

    def __init__(self, level_ns: int = AUTOSCALING.level_ns) -> None:
        """What is asked now is a mean of about `level_ns`."""
        self._season = Season()
        self._level_ns = level_ns
        self._levels = (_Level(level_ns), _Level(level_ns), _Level(level_ns))
        self._error = Ewma(_ERROR_TAU_NS, prior=_ERROR_PRIOR**2, prior_weight=8.0)
        self._pending: deque[tuple[int, float]] = deque(maxlen=_PENDING_MAX)
        self._since_ns: int | None = None

    def set_level(self, level_ns: int) -> None:
        """The mean is of another length from now on, and begins anew; what is usual stays."""
        if level_ns != self._level_ns:
            self._level_ns = level_ns
            self._levels = (_Level(level_ns), _Level(level_ns), _Level(level_ns))
            self._since_ns = None
            self._pending.clear()

    def memory(self) -> Forecasts:
        """What has been learned."""
        levels = tuple(one.memory() for level in self._levels for one in (level.fast, level.slow))
        return Forecasts(
            self._season.memory(), self._level_ns, self._since_ns, levels, self._error.memory()
        )

    def recall(self, memory: Forecasts) -> None:
        """Go on with what was learned; with the means, too, where they are of the same length."""
        self._season.recall(memory.seasons)
        self._error.recall(memory.error)
        if memory.level_ns == self._level_ns:
            self._since_ns = memory.since_unix_ns
            means = iter(memory.levels)
            for level in self._levels:
                level.fast.recall(next(means))
                level.slow.recall(next(means))

    def add(self, demand: Demand, horizon_ns: int, unix_ns: int) -> None:
        """Observe the demand since the last sample. Forecasts matter most so far ahead."""
        if self._since_ns is None:
            self._since_ns = unix_ns
        self._season.add(demand, unix_ns)
        for level, value in zip(self._levels, demand, strict=True):
            level.add(value, unix_ns)
        self._judge(horizon_ns, unix_ns)

    def current(self, unix_ns: int) -> Demand:
        """What is asked now."""
        return self.at(unix_ns, unix_ns)

    def _steady(self, unix_ns: int) -> Demand:
        """The mean of the last minutes, as it lags."""
        requests, prompts, outputs = self._levels
        return Demand(
            requests.fast.value_at(unix_ns),
            prompts.fast.value_at(unix_ns),
            outputs.fast.value_at(unix_ns),
        )

    def at(self, then_ns: int, unix_ns: int) -> Demand:
        """The middle of what will be asked then."""
        by_ns = max(0, then_ns - unix_ns)
        known_ns = 0 if self._since_ns is None else unix_ns - self._since_ns
        usual, trust = self._season.at(then_ns)
        usual_now, trust_now = self._season.at(unix_ns - min(self._level_ns, known_ns // 2))
        trust = min(trust, trust_now)
        parts = []
        for level, then, now in zip(self._levels, usual, usual_now, strict=True):
            goes_on = level.ahead(by_ns, known_ns, unix_ns)
            if trust and now > 0.0:
                ratio = level.fast.value_at(unix_ns) / now
                if 1.0 / _RATIO_MAX <= ratio <= _RATIO_MAX:
                    goes_on += trust * (then * ratio - goes_on)
            parts.append(goes_on)
        return Demand(*parts)

    def error(self, unix_ns: int) -> float:
        """How far forecasts are off, as a share of what they say: one standard deviation."""
        return sqrt(self._error.value_at(unix_ns))

    def _judge(self, horizon_ns: int, unix_ns: int) -> None:
        """Hold what was forecast against what came, and note what is forecast from here.

        What came is a mean, and is told once its lag has passed: single bursts are no error.
        """
        while self._pending and self._pending[0][0] + self._level_ns <= unix_ns:
            _, said = self._pending.popleft()
            if said > 0.0:
                work = self._steady(unix_ns).work
                off = min(_ERROR_MAX, max(-_ERROR_MAX, (work - said) / said))
                self._error.add(off * off, unix_ns)
        every_ns = (horizon_ns + self._level_ns) // (_PENDING_MAX // 2)
        if not self._pending or self._pending[-1][0] + every_ns <= unix_ns + horizon_ns:
            then_ns = unix_ns + horizon_ns
            self._pending.append((then_ns, self.at(then_ns, unix_ns).work))
