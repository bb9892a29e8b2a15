"""A request that its client takes to the endpoint itself: what both ends say became of it."""

from dataclasses import dataclass
from enum import Enum, IntEnum

from router.policy.outcome import End


class Stage(IntEnum):
    """How far a lease has come, by the endpoint's account."""

    PLACED = 0  # nothing was heard of it yet
    STARTED = 1
    FIRST_TOKEN = 2
    ENDED = 3


@dataclass(frozen=True, slots=True)
class LeaseAccount:
    """What an endpoint says of one use of a lease. Times in nanoseconds, by its own clock."""

    lease: str  # the id of the request
    use: int  # 1 for the first stream it was used for
    stage: Stage
    age_ns: int = 0  # since the request had arrived there
    ttft_ns: int = 0
    decode_ns: int = 0  # from the first token to the last; 0: it says nothing of the engine
    end: End = End.OK
    output_tokens: int = 0
    messages: int = 0
    egress_bytes: int = 0


class ClaimKind(Enum):
    """What a client says became of its lease."""

    COMPLETE = "complete"
    CANCELLED = "cancelled"
    NEVER_BEGAN = "never_began"  # the endpoint was not reached, or refused
    BROKE_OFF = "broke_off"


@dataclass(frozen=True, slots=True)
class LeaseClaim:
    """What a client says. It settles nothing that an endpoint can speak for."""

    lease: str
    kind: ClaimKind
    messages: int = 0
    output_tokens: int = 0
