"""What the page asks of a router, read from JSON and answered in JSON."""

from typing import Annotated, Any, Literal

from google.protobuf.json_format import MessageToDict
from pydantic import BaseModel, ConfigDict, Field

from router.live.acting import Actor
from router.live.fleet_desk import FleetDesk
from router.live.operator_desk import OperatorDesk
from router.policy.caller import Caller
from router.policy.loan import REASON_CHARS_MAX
from router.policy.units import ns
from wire.metadata import SLO_KEY, TENANT_KEY
from wire.spillway.v1 import fleet_pb2 as pb
from wire.vllm.inference_pb2 import GenerateRequest, StoppingCriteria

Name = Annotated[str, Field(max_length=256)]


class Question(BaseModel):
    """A request that might be sent. Empty names are those of a request that names none."""

    model_config = ConfigDict(extra="forbid")

    prompt: str = Field(max_length=1 << 20)
    session: Name = ""
    slo: Name = ""
    tenant: Name = ""
    max_new_tokens: int = Field(default=256, ge=1, le=1 << 20)


class Act(BaseModel):
    """What is to be done to a site."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["drain", "undrain", "lend", "reclaim"]
    site: Name
    replicas: int = Field(default=0, ge=0, le=1 << 20)  # to reclaim, 0 is all
    until_unix_s: float = Field(default=0.0, ge=0, le=1e10, allow_inf_nan=False)
    reason: str = Field(default="", max_length=REASON_CHARS_MAX)


def explained(desk: FleetDesk, question: Question, caller: Caller) -> dict[str, Any]:
    """Where this caller's request would go, and why. Raises CallError for what no router takes."""
    request = GenerateRequest(
        text=question.prompt,
        session_id=question.session,
        stopping=StoppingCriteria(max_new_tokens=question.max_new_tokens),
    )
    named = ((SLO_KEY, question.slo), (TENANT_KEY, question.tenant))
    decision = desk.explain(request, [(key, value) for key, value in named if value], caller)
    told: dict[str, Any] = MessageToDict(
        decision, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return told


async def done(desk: OperatorDesk, act: Act, actor: Actor) -> dict[str, Any]:
    """Does it, and says so. Raises CallError for what cannot be done."""
    if act.action == "lend":
        request = pb.LendRequest(
            site=act.site,
            replicas=act.replicas,
            until_unix_ns=ns(act.until_unix_s),
            reason=act.reason,
        )
        lent = await desk.lend(actor, request)
        return {"said": f"{act.site} lends {lent.loaned} of {lent.of} replicas."}
    if act.action == "reclaim":
        left = await desk.reclaim(actor, pb.ReclaimRequest(site=act.site, replicas=act.replicas))
        away = left.loaned + left.scheduled
        return {"said": f"{act.site} lends {away or 'nothing'}."}
    if act.action == "drain":
        site = await desk.drain(actor, act.site, draining=True)
        return {"said": f"{act.site} drains; {site.open_streams} streams are open there."}
    await desk.drain(actor, act.site, draining=False)
    return {"said": f"{act.site} takes turns again."}
