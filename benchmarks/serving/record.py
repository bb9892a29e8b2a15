"""What one turn looked like to the client that asked for it."""

from array import array
from dataclasses import dataclass, field


@dataclass(slots=True)
class Record:
    """One turn. Offsets and times in seconds.

    Latency counts from `intended_s`, the offset at which the plan wanted the turn to be sent, and
    not from when a busy driver got round to it: what waits in the driver waits for the user too
    (coordinated omission). `lag_s` is that wait by itself.
    """

    session: str
    turn: int
    phase: str
    intended_s: float
    lag_s: float = 0.0
    ttft_s: float | None = None
    gaps_s: "array[float]" = field(default_factory=lambda: array("f"))
    end_to_end_s: float = 0.0
    prompt_tokens: int = 0
    output_tokens: int = 0
    status: str = "OK"
    detail: str = ""
    site: str = ""
    endpoint: str = ""
    attempts: int = 0
    resumed: int = 0  # times that it went on elsewhere
    refused: int = 0  # times that it was told to come back later, and did
    wanted_tokens: int = 0
    right: bool | None = None  # equal to the known answer; None where none is known

    @property
    def lost_tokens(self) -> int:
        """Tokens that were asked for and did not come."""
        return max(0, self.wanted_tokens - self.output_tokens)

    @property
    def time_per_output_token_s(self) -> float | None:
        """Mean time per token after the first; None for an answer of one token."""
        if self.ttft_s is None or self.output_tokens < 2:
            return None
        return (self.end_to_end_s - self.ttft_s) / (self.output_tokens - 1)
