"""The highest load under which an objective is kept, found by trying some.

The load is doubled until the objective is missed, and then the gap is halved. Each try costs a
run, of a simulated site or of a real one: whoever searches is told what to try and tells what came.
"""


class HighestKept:
    """One search. `load` is what to try next; None once it is over."""

    def __init__(self, first: float, *, halvings: int, most: float = float("inf")) -> None:
        """Begin with `first`, halve so often, and try nothing above `most`."""
        self.kept = 0.0  # the highest that was
        self.load: float | None = min(first, most)
        self._missed: float | None = None  # the lowest that was
        self._halvings = halvings
        self._most = most

    def tell(self, *, kept: bool) -> None:
        """Whether the objective was kept under `load`."""
        if self.load is None:
            return
        if kept:
            self.kept = self.load
        else:
            self._missed = self.load
        self.load = self._next()

    def _next(self) -> float | None:
        if self._missed is None:
            return None if self.kept >= self._most else min(2 * self.kept, self._most)
        if self._halvings == 0:
            return None
        self._halvings -= 1
        return (self.kept + self._missed) / 2
