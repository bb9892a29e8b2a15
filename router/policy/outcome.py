"""What became of a request that was sent: the core learns from nothing else."""

from dataclasses import dataclass
from enum import Enum

from router.policy.resume import ResumePoint


class End(Enum):
    """How an attempt ended."""

    OK = "ok"
    CANCELLED = "cancelled"  # by the client: says nothing about the endpoint
    REJECTED = "rejected"  # the endpoint refused the request itself (bad input): not its failure
    OVERLOADED = "overloaded"  # RESOURCE_EXHAUSTED: alive, but full
    UNREACHABLE = "unreachable"  # no connection, reset, or connection lost
    FAILED = "failed"  # any other error of the endpoint
    TIMED_OUT = "timed_out"  # the request's deadline passed
    STALLED = "stalled"  # tokens failed to come, and the attempt was given up
    MOVED = "moved"  # given up because the endpoint drains: not its failure


FAILURES = frozenset({End.UNREACHABLE, End.FAILED, End.STALLED})
"""The ends that are the endpoint's own doing, or its link's."""


@dataclass(frozen=True, slots=True)
class FirstToken:
    """The first message of an attempt came back."""

    request: str
    endpoint: str
    ttft_ns: int  # from sending the attempt to its first message


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt is over. Exactly one for every `Send`: this is what keeps counts from leaking."""

    request: str
    endpoint: str
    end: End
    output_tokens: int = 0  # counted or estimated; 0 where unknown
    messages: int = 0  # response messages that reached the client
    duration_ns: int = 0  # 0 where it says nothing of the endpoint
    egress_bytes: int = 0
    slow_gaps: int | None = None  # gaps between tokens above the class's objective; None: untold
    resume: ResumePoint | None = None  # of a stream that broke off after `messages`
    attempts: int = 1  # that were made at the endpoint: a router makes several


Outcome = FirstToken | Ended
