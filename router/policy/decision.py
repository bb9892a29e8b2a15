"""What the core answers: where a request goes, and everything that led there."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Rule(Enum):
    """The rule that decided, as one fixed word."""

    ONLY = "only"  # one endpoint could be chosen
    STICKY = "sticky"  # the session's placement holds
    HOME = "home"  # home is predicted to meet the objective
    OVERFLOW = "overflow"  # home is predicted to miss; a rented site is predicted to do better
    SPILL_BACK = "spill_back"  # an overflowed session returns home
    LEAST_BAD = "least_bad"  # nobody meets the objective; the earliest first token wins
    NO_ENDPOINT = "no_endpoint"  # nobody can serve: none is up, or all that are up are excluded
    OVERLOAD = "overload"  # nobody could serve within the horizon
    UNKNOWN_MODEL = "unknown_model"  # no endpoint, up or down, serves this model
    UNKNOWN_SLO = "unknown_slo"  # the request names a class the fleet does not have
    DEADLINE = "deadline"  # the request's deadline has passed, or passes before any first token
    NO_RETRY = "no_retry"  # the attempt failed and may not be tried elsewhere


class Candidate(NamedTuple):
    """One endpoint as it was judged for one request. Times in nanoseconds.

    A tuple, because every decision makes one for each endpoint it judges and a frozen dataclass
    costs three times as much to make.
    """

    endpoint: str
    site: str
    ttft_ns: int  # network + queue + prefill, at the class's confidence
    network_ns: int
    queue_ns: int
    prefill_ns: int
    cached_tokens: int
    uncached_tokens: int
    price_usd: float  # marginal cost of this request on metered capacity
    meets_objective: bool
    report_age_ns: int | None  # None: no load report yet
    excluded: str = ""  # why it could not be chosen; empty where it could


@dataclass(frozen=True, slots=True)
class Send:
    """Send the request to this endpoint."""

    request: str
    endpoint: str
    site: str
    rule: Rule
    reason: str  # the rule in a sentence, with its figures
    slo: str
    candidates: tuple[Candidate, ...]
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nobody can serve the request."""

    request: str
    rule: Rule
    reason: str
    slo: str
    candidates: tuple[Candidate, ...]
    retry_after_ns: int  # when asking again may help; 0 where it will not


Decision = Send | Refuse
