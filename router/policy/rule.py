"""The rules that decide, as fixed words: docs/routing.md says what each means."""

from enum import Enum


class Rule(Enum):
    """The rule that decided."""

    ONLY = "only"  # one home endpoint, and no other, could be chosen
    STICKY = "sticky"  # the session's placement holds
    HOME = "home"  # home is predicted to meet the objective
    OVERFLOW = "overflow"  # home is predicted to miss; a rented site is predicted to meet
    SPILL_BACK = "spill_back"  # an overflowed session returns home
    LEAST_BAD = "least_bad"  # nobody is sure to meet the objective; least time and work wins
    QUEUED = "queued"  # no endpoint has room: the request waits in the router for its turn
    NO_ENDPOINT = "no_endpoint"  # nobody can serve: none is up, or all that are up are excluded
    OVERLOAD = "overload"  # nobody could serve within the horizon, or somebody is full
    RATE = "rate"  # the tenant has used what one of its quotas allows
    NOT_ENTITLED = "not_entitled"  # the request is for what its tenant may not ask for
    SUSPECT = "suspect"  # engines crashed under this prompt: it waits to be tried alone
    QUARANTINED = "quarantined"  # engines crashed under this prompt, and it was to blame
    UNKNOWN_MODEL = "unknown_model"  # no endpoint, up or down, serves this model
    UNKNOWN_ADAPTER = "unknown_adapter"  # no endpoint of the model has this adapter
    TOO_LONG = "too_long"  # the prompt exceeds the context of every endpoint
    UNKNOWN_SLO = "unknown_slo"  # the request names a class the fleet does not have
    DEADLINE = "deadline"  # the request's deadline has passed, or passes before any first token
    NO_RETRY = "no_retry"  # the attempt failed and may not be tried elsewhere
