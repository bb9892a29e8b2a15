"""The page of a router of several workers: its process asks them, and shows what all see together.

They are asked over the socket that the receiver and its workers share, which only the router's own
user can reach; who looks and who acts has been judged by the process that serves the page.
"""

import asyncio
import base64
import binascii
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final, Protocol

import grpc
from google.protobuf.message import DecodeError

from router.faces.page.asking import Act, Question
from router.faces.page.desk import Desk, Look
from router.live.acting import Actor
from router.live.fleet_sum import summed
from router.observe.recent_decisions import Flow
from router.policy.caller import Caller, Role
from wire.spillway.v1 import fleet_pb2 as pb
from wire.status import CallError

LOOK_S: Final = 0.4
"""For workers to say how it stands: of one that takes longer a frame shows how it stood."""

KEPT_S: Final = 3.0
"""For so long; then it is gone, and another one is in its place."""

_ACT_S: Final = 30.0
"""For a worker to explain or to act."""


class Asks(Protocol):
    """Asks workers: all of them, or the first."""

    async def __call__(self, what: str, body: bytes, *, within_s: float, one: bool) -> list[bytes]:
        """The answers that came in time."""
        ...


class WorkersDesk:
    """See Desk."""

    def __init__(self, ask: Asks) -> None:
        self._ask = ask
        self._last: dict[str, tuple[float, Look]] = {}  # of each worker, and when it came

    async def look(self) -> Look:
        """See Desk."""
        answers = await self._ask("look", b"", within_s=LOOK_S, one=False)
        fresh = [look for raw in answers if (look := _look(raw)) is not None]
        now_s = asyncio.get_running_loop().time()
        self._last |= {look.state.router_id: (now_s, look) for look in fresh}
        self._last = {
            worker: (at_s, look)
            for worker, (at_s, look) in self._last.items()
            if now_s - at_s < KEPT_S
        }
        looks = [look for _, look in self._last.values()]
        flows: dict[str, Flow] = {}
        for name, flow in (item for look in looks for item in look.flows.items()):
            at = flows.setdefault(name, Flow())
            for way, turns in asdict(flow).items():
                setattr(at, way, getattr(at, way) + turns)
        decisions = sorted((one for look in fresh for one in look.decisions), key=_at)
        state = summed([look.state for look in looks])
        return Look(state, flows, sum(look.decided for look in fresh), decisions)

    async def explain(self, question: Question, caller: Caller) -> dict[str, Any]:
        """See Desk: by one of them, as a connection reaches one."""
        asked = {"question": question.model_dump(), "caller": _caller(caller)}
        return await self._asked("explain", asked)

    async def act(self, act: Act, actor: Actor) -> dict[str, Any]:
        """See Desk: one does it, and all hear of it from that."""
        return await self._asked("act", {"act": act.model_dump(), "actor": asdict(actor)})

    async def refuse(self, actor: Actor, reason: str) -> None:
        """See Desk."""
        await self._asked("refuse", {"actor": asdict(actor), "reason": reason})

    async def _asked(self, what: str, asked: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(asked).encode()
        for raw in await self._ask(what, body, within_s=_ACT_S, one=True):
            said: dict[str, Any] = json.loads(raw)
            if "error" in said:
                raise CallError(grpc.StatusCode[said["code"]], said["error"])
            return said
        raise CallError(grpc.StatusCode.UNAVAILABLE, "no worker answers: try again")


def answering(desk: Desk) -> Callable[[str, bytes], Awaitable[bytes]]:
    """A worker's side: answers what the process that serves the page asks."""

    async def explain(asked: Any) -> dict[str, Any]:
        role, tenant, name = asked["caller"]
        question = Question.model_validate(asked["question"])
        return await desk.explain(question, Caller(Role(role), tenant, name))

    async def act(asked: Any) -> dict[str, Any]:
        return await desk.act(Act.model_validate(asked["act"]), Actor(**asked["actor"]))

    async def refuse(asked: Any) -> dict[str, Any]:
        await desk.refuse(Actor(**asked["actor"]), asked["reason"])
        return {}

    asks = {"explain": explain, "act": act, "refuse": refuse}

    async def answer(what: str, body: bytes) -> bytes:
        if what == "look":
            return _encoded(await desk.look())
        try:
            said = await asks[what](json.loads(body))
        except CallError as error:
            said = {"error": error.message, "code": error.code.name}
        return json.dumps(said).encode()

    return answer


def _caller(caller: Caller) -> tuple[str, str, str]:
    return caller.role.value, caller.tenant, caller.name


def _at(decision: dict[str, Any]) -> float:
    at: float = decision["at"]
    return at


def _encoded(look: Look) -> bytes:
    told = {
        "state": base64.b64encode(look.state.SerializeToString()).decode(),
        "flows": {name: asdict(flow) for name, flow in look.flows.items()},
        "decided": look.decided,
        "decisions": look.decisions,
    }
    return json.dumps(told, separators=(",", ":")).encode()


def _look(raw: bytes) -> Look | None:
    """What a worker told; None where it could not be read, which its next look makes good."""
    try:
        told = json.loads(raw)
        state = pb.FleetState.FromString(base64.b64decode(told["state"]))
        flows = {name: Flow(**flow) for name, flow in told["flows"].items()}
        return Look(state, flows, told["decided"], told["decisions"])
    except (binascii.Error, DecodeError, KeyError, TypeError, ValueError):
        return None
