"""One attempt that was sent and has not ended."""

from dataclasses import dataclass

from router.policy.predictor import Ahead
from router.policy.request import Request


@dataclass(slots=True)
class Flight:
    """What must be remembered of an attempt to account for it and to learn from it.

    The decision is not: its candidates would weigh kilobytes for as long as a stream lasts.
    """

    request: Request
    endpoint: str
    slo: str
    attempt: int
    tried: tuple[str, ...]  # endpoints of earlier attempts
    sent_ns: int
    due_ns: int  # when its first token was promised
    network_ns: int
    ahead: Ahead
    uncached_tokens: int
    expected_tokens: float  # of output
    price_usd: float
    probe: bool  # sent to see whether an endpoint is back
    first_ns: int = 0  # when its first token came, or is taken to have come; 0: not yet
    ttft_ns: int = 0
    streams: float = 0.0  # beside it when its first token came
