"""Recursive least squares with forgetting, made safe against outliers and idle directions.

The textbook recursion keeps the coefficients of a linear model and their covariance, and corrects
both with each observation. Two things go wrong with it in production, and each has its remedy here:

- One absurd observation (a stalled link, a paused process) drags every coefficient. The surprise
  is therefore clipped at `_CLIP` times its usual size. The usual size follows the clipped
  surprises, so a lasting change still gets through, in steps whose number grows with the logarithm
  of its size.
- Forgetting makes the covariance of a direction that is never excited grow without bound, and the
  first observation in that direction then sets it to noise. Forgetting is therefore skipped while
  it would lift a variance over that of the prior.

Stochastic gradient descent needs no covariance but a step size for each feature, tuned by hand.
"""

from collections.abc import Sequence
from operator import mul

_CLIP = 3.0  # surprises beyond three times the usual size are outliers until they repeat
_SCALE_GAIN = 0.1


class LeastSquares:
    """y = coefficients . x, learned online. Give features and target of order one."""

    __slots__ = ("_covariance", "_forgetting", "_scale", "_variance_max", "coefficients", "count")

    def __init__(
        self, prior: Sequence[float], deviation: Sequence[float], *, forgetting: float = 0.98
    ) -> None:
        """Start from a prior and how far each of its coefficients may be off."""
        self.coefficients = list(prior)
        self.count = 0
        self._variance_max = [sigma * sigma for sigma in deviation]
        self._covariance = self._start()
        self._forgetting = forgetting
        self._scale = 0.3

    def predict(self, features: Sequence[float]) -> float:
        """The model's value."""
        value: float = sum(map(mul, self.coefficients, features))
        return value

    def add(self, features: Sequence[float], target: float) -> None:
        """Observe one target."""
        projected = [sum(map(mul, row, features)) for row in self._covariance]
        least = self._forgetting + sum(map(mul, projected, features))
        gain = [p / least for p in projected]
        bound = _CLIP * self._scale
        surprise = max(-bound, min(bound, target - self.predict(features)))
        self._scale = max(1e-3, self._scale + _SCALE_GAIN * (abs(surprise) - self._scale))
        self.coefficients = [c + g * surprise for c, g in zip(self.coefficients, gain, strict=True)]
        grow = self._growth(gain, projected)
        self._covariance = [
            [(p - g * q) * grow for p, q in zip(row, projected, strict=True)]
            for row, g in zip(self._covariance, gain, strict=True)
        ]
        if any(self._covariance[index][index] <= 0.0 for index in range(len(gain))):
            self._covariance = (
                self._start()
            )  # rounding ate it: as if only the coefficients were known
        self.count += 1

    def _start(self) -> list[list[float]]:
        """The covariance of the prior."""
        return [
            [variance if row == column else 0.0 for column in range(len(self._variance_max))]
            for row, variance in enumerate(self._variance_max)
        ]

    def _growth(self, gain: list[float], projected: list[float]) -> float:
        """By how much forgetting lifts the covariance: not at all where that is too much."""
        grow = 1.0 / self._forgetting
        for index, most in enumerate(self._variance_max):
            variance = self._covariance[index][index] - gain[index] * projected[index]
            if variance * grow > most:
                return 1.0
        return grow
