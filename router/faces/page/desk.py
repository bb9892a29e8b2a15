"""What the page shows and does, of one router: its state, its decisions, and the box's answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from router.faces.page.asking import Act, Question, done, explained
from router.faces.page.frame import told
from router.live.acting import Actor
from router.live.fleet_desk import FleetDesk
from router.live.operator_desk import OperatorDesk
from router.observe.recent_decisions import KEPT_MAX, Flow, RecentDecisions
from router.policy.caller import Caller
from wire.spillway.v1 import fleet_pb2 as pb


@dataclass(frozen=True, slots=True)
class Look:
    """How it stands, and what was decided since the look before."""

    state: pb.FleetState
    flows: Mapping[str, Flow]
    decided: int  # of all decisions since then
    decisions: list[dict[str, Any]]  # the latest of them, as a frame tells them, oldest first


class Desk(Protocol):
    """Who the page asks."""

    async def look(self) -> Look:
        """How it stands."""
        ...

    async def explain(self, question: Question, caller: Caller) -> dict[str, Any]:
        """Where this caller's request would go. Raises CallError for what no router takes."""
        ...

    async def act(self, act: Act, actor: Actor) -> dict[str, Any]:
        """Does it, and says so. Raises CallError for what cannot be done."""
        ...

    async def refuse(self, actor: Actor, reason: str) -> None:
        """Somebody wanted to act, and it is not theirs to."""
        ...


class OwnDesk:
    """Of the router in this process."""

    def __init__(
        self,
        state: Callable[[], pb.FleetState],
        decisions: RecentDecisions,
        desk: FleetDesk,
        acts: OperatorDesk,
    ) -> None:
        self._state: Final = state
        self._decisions: Final = decisions
        self._desk: Final = desk
        self._acts: Final = acts
        self._seen = 0  # the number of the last decision that was told

    async def look(self) -> Look:
        """See Desk."""
        recorded = self._decisions.since(self._seen, KEPT_MAX)
        decided, self._seen = self._decisions.count - self._seen, self._decisions.count
        return Look(self._state(), self._decisions.flows, decided, [told(one) for one in recorded])

    async def explain(self, question: Question, caller: Caller) -> dict[str, Any]:
        """See Desk."""
        return explained(self._desk, question, caller)

    async def act(self, act: Act, actor: Actor) -> dict[str, Any]:
        """See Desk."""
        return await done(self._acts, act, actor)

    async def refuse(self, actor: Actor, reason: str) -> None:
        """See Desk."""
        self._acts.refused(actor, "page", "", reason)
