"""One request that waits in the router for its turn."""

from dataclasses import dataclass

from router.policy.need import LaneKey
from router.policy.request import Request


@dataclass(slots=True, eq=False)
class Waiting:
    """What must be known of it until it is sent, refused or withdrawn. Times in nanoseconds."""

    request: Request
    lane: LaneKey
    level: int  # the priority of its class; 1 goes first
    tenant: str
    work: float  # in tokens; see router.policy.fair_share
    arrived_ns: int
    due: int  # its place among the requests of its tenant; lower goes first
    until_ns: int  # what is not sent by then is late, or refused
    last_ns: int  # sent after that, it would miss the client's deadline
    late: bool = False  # its objective is missed: it goes after those who are in time
    over: bool = False  # it has left the queue
