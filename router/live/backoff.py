"""How long to wait before trying again."""

import random


class Backoff:
    """Doubles from `first_s` to `last_s`.

    Each wait is cut by up to half, so that many who failed together do not come back together.
    """

    def __init__(self, first_s: float, last_s: float) -> None:
        self._first_s = first_s
        self._last_s = last_s
        self._next_s = first_s

    def reset(self) -> None:
        """It worked."""
        self._next_s = self._first_s

    def wait_s(self) -> float:
        """It failed: the time to wait now."""
        wait_s = self._next_s * random.uniform(0.5, 1.0)
        self._next_s = min(self._last_s, 2 * self._next_s)
        return wait_s
