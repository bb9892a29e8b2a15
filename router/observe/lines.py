"""Events as lines of JSON, and back.

A line has the event's sequence and time, a `kind` that names what happened, its fields under
`what`, and the decision, if one was made, with its reason as a sentence for the reader.
"""

import json
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from router.observe.event import (
    AskedAgain,
    ConnectionChanged,
    DrainChanged,
    EndpointGone,
    EndpointUp,
    Event,
    FleetChanged,
    Happening,
    HedgeDue,
    LeaseClaimed,
    LendChanged,
    LoadHeard,
    LoansChanged,
    OutcomeSeen,
    QuarantineReleased,
    RequestArrived,
    RequestWithdrawn,
    RolloutChanged,
    RoundTripMeasured,
    SiteLeaseChanged,
    SpentHeard,
    Started,
    StoreHeard,
    Ticked,
)
from router.policy.decision import Decision, Send

_KINDS: Final[dict[str, type[Happening]]] = {
    "started": Started,
    "fleet": FleetChanged,
    "endpoint_up": EndpointUp,
    "endpoint_gone": EndpointGone,
    "connection": ConnectionChanged,
    "round_trip": RoundTripMeasured,
    "load": LoadHeard,
    "drain": DrainChanged,
    "loans": LoansChanged,
    "lend": LendChanged,
    "site_lease": SiteLeaseChanged,
    "store": StoreHeard,
    "spent": SpentHeard,
    "request": RequestArrived,
    "asked_again": AskedAgain,
    "withdrawn": RequestWithdrawn,
    "quarantine_released": QuarantineReleased,
    "rollout": RolloutChanged,
    "hedge": HedgeDue,
    "lease_claim": LeaseClaimed,
    "outcome": OutcomeSeen,
    "tick": Ticked,
}
_ADAPTERS: Final[dict[str, TypeAdapter[Any]]] = {
    kind: TypeAdapter(happening) for kind, happening in _KINDS.items()
}
_KIND_OF: Final = {happening: kind for kind, happening in _KINDS.items()}
_DECISION: Final[TypeAdapter[Decision]] = TypeAdapter(Decision)


class LineError(ValueError):
    """The line is not an event that this version wrote."""


def to_line(event: Event) -> bytes:
    """The event as one line, with its end."""
    kind = _KIND_OF[type(event.happening)]
    body = {
        "sequence": event.sequence,
        "now_ns": event.now_ns,
        "kind": kind,
        "what": _ADAPTERS[kind].dump_python(event.happening, mode="json"),
    }
    if event.decision is not None:
        body["decision"] = _decision_fields(event.decision)
    if event.released:
        body["released"] = [_decision_fields(one) for one in event.released]
    return json.dumps(body, separators=(",", ":")).encode() + b"\n"


def from_line(line: bytes) -> Event:
    """The event that a line holds. Raises LineError."""
    try:
        body = json.loads(line)
        decision = body.get("decision")
        return Event(
            sequence=body["sequence"],
            now_ns=body["now_ns"],
            happening=_ADAPTERS[body["kind"]].validate_python(body["what"]),
            decision=None if decision is None else _DECISION.validate_python(decision),
            released=tuple(map(_DECISION.validate_python, body.get("released", ()))),
        )
    except (ValueError, KeyError, TypeError, AttributeError, ValidationError) as error:
        raise LineError(f"no event: {line[:80]!r} ({error})") from error


def _decision_fields(decision: Decision) -> dict[str, Any]:
    fields: dict[str, Any] = _DECISION.dump_python(decision, mode="json")
    # Named tuples would come out as bare lists of figures, which nobody can read.
    fields["candidates"] = [candidate._asdict() for candidate in decision.candidates]
    if isinstance(decision, Send):
        fields["reason"] = decision.reason
    return fields
