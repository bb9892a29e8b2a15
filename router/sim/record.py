"""What a simulated turn saw. Times in nanoseconds."""

from dataclasses import dataclass


@dataclass(slots=True)
class TurnRecord:
    """One turn, from the client's side of its router."""

    session: str
    turn: int
    sent_ns: int
    prompt_tokens: int
    output_tokens: int
    slo: str = ""
    tenant: str = ""
    site: str = ""
    endpoint: str = ""
    rule: str = ""
    attempts: int = 1
    ttft_ns: int = -1  # -1: no first token
    end_to_end_ns: int = -1
    cached_tokens: int = 0
    slow_gaps: int = 0  # gaps between tokens above Scenario.slow_gap_ns
    previous: str = ""  # the endpoint that last answered the session
    usd: float = 0.0  # of metered capacity and egress, over all attempts
    egress_bytes: int = 0  # out of rented sites
    refused: str = ""  # the rule that refused, or what cut the answer off; empty: complete

    @property
    def moved(self) -> bool:
        """Whether another endpoint had answered the session before."""
        return bool(self.previous) and not self.refused and self.endpoint != self.previous
