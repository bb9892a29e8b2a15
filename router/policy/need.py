"""What one request asks of an endpoint, worked out once and then held against each."""

from dataclasses import dataclass
from typing import NamedTuple

from router.policy.fleet import SloClass
from router.policy.purse import Purse
from router.policy.request import Request
from router.policy.sessions import Session
from router.policy.tracked import Tracked


class LaneKey(NamedTuple):
    """Requests that can go to the same endpoints wait in one lane."""

    model: str
    home_only: bool
    adapter: str = ""  # where only some of the model's endpoints have it


@dataclass(slots=True)
class Need:
    """One request, ready to be judged."""

    request: Request
    slo: SloClass
    confidence: int  # the index of the class's confidence among the fleet's
    objective_ns: int  # for the time to first token
    expected_tokens: float  # of output
    marks: list[int]  # see router.policy.prefix
    block_tokens: int  # tokens of one block of the prefix
    hot_tokens: int  # leading tokens that nearly every request shares
    session: Session | None
    placed: Tracked | None  # where the session is placed, if that is still there
    session_cached_tokens: int  # there
    turns_ahead: float  # that the session is expected to take
    tried: tuple[str, ...]  # endpoints that have failed this request
    is_bounded: bool  # whether the class, the context or earlier attempts exclude endpoints
    egress_bytes: float  # expected
    lane: LaneKey
    purse: Purse  # that pays for it
