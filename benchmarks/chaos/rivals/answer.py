"""One answer as a rival's client sees it."""

from array import array
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field


@dataclass(slots=True)
class Answer:
    """What a client saw: when each token came, and whether all did."""

    begun_s: float
    tokens_s: "array[float]" = field(default_factory=lambda: array("d"))
    whole: bool = False

    @property
    def ttft_s(self) -> float:
        """Time to the first token; infinite without one."""
        return self.tokens_s[0] - self.begun_s if self.tokens_s else float("inf")

    @property
    def silence_s(self) -> float:
        """The longest between two tokens."""
        pairs = zip(self.tokens_s, self.tokens_s[1:], strict=False)
        return max((after - before for before, after in pairs), default=0.0)


Ask = Callable[[int], Coroutine[None, None, Answer]]
