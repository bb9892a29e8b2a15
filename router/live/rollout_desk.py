"""Roll-outs as operators see and change them, and what is said when the router takes one back."""

import logging
from dataclasses import replace
from typing import Any

import grpc

from router.live.acting import Act, Acting, Actor
from router.live.timed_core import TimedCore
from router.observe.event import RolloutChanged
from router.policy.rollouts import RolloutSnapshot, VersionCounts, said
from router.policy.units import seconds
from wire.spillway.v1 import fleet_pb2 as pb
from wire.status import bad_field

WHY_CHARS_MAX = 200
_BY_HAND = "an operator said so"

_log = logging.getLogger(__name__)


class RolloutDesk:
    """Returns and resumes. Raises CallError for what cannot be done, or recorded."""

    def __init__(self, core: TimedCore, acting: Acting) -> None:
        self._core = core
        self._acting = acting
        self._told: set[str] = set()  # those found bad here, of which was said so

    def look(self) -> None:
        """Says what the router has taken back by itself. Call it about once a second."""
        found = {one.name: one for one in self._core.snapshot().rollouts if one.was_found}
        for name, one in found.items():
            if name in self._told:
                continue
            _log.warning("the roll-out of %s is taken back: %s", name, said(one))
            # Nothing new to this core, and a word to the other processes of this router.
            self._core.tell(RolloutChanged(name, one.returned, one.new.model))
            before = {"model": one.new.model, "share": one.share}
            self._acting.happened("rollout return", name, before, {"returned": one.returned})
        self._told = set(found)

    async def give_back(self, actor: Actor, name: str, why: str) -> pb.RolloutState:
        """The new version of a model gets nothing more."""
        why = why.strip() or _BY_HAND
        if len(why) > WHY_CHARS_MAX or not why.isprintable():
            raise bad_field("why", f"must be one line of at most {WHY_CHARS_MAX} characters")
        return await self._change(actor, "rollout return", RolloutChanged(name, why))

    async def resume(self, actor: Actor, name: str) -> pb.RolloutState:
        """It has its share again, and is judged anew."""
        return await self._change(actor, "rollout resume", RolloutChanged(name))

    def tell(self, state: pb.FleetState) -> None:
        """Says how they stand in the fleet's state."""
        snapshot = self._core.snapshot()
        state.rollouts.extend(rollout_message(one) for one in snapshot.rollouts)
        state.stood_in.extend(
            pb.StoodIn(model=asked, stand_in=other, turns=turns)
            for asked, other, turns in snapshot.stood_in
        )

    async def _change(self, actor: Actor, word: str, change: RolloutChanged) -> pb.RolloutState:
        def act() -> pb.RolloutState:
            new = self._named(change.name).new.model
            self._core.tell(replace(change, new=new))
            return rollout_message(self._named(change.name))

        asked = {"why": change.why} if change.why else {}
        what = Act(word, change.name, lambda: self._state(change.name), asked)
        return await self._acting.perform(actor, what, act)

    def _named(self, name: str) -> RolloutSnapshot:
        known = {one.name: one for one in self._core.snapshot().rollouts}
        if name not in known:
            there = ", ".join(known) or "none"
            missing = f"no two versions serve {name!r}; there are: {there}"
            raise bad_field("model", missing, grpc.StatusCode.NOT_FOUND)
        return known[name]

    def _state(self, name: str) -> dict[str, Any]:
        for one in self._core.snapshot().rollouts:
            if one.name == name:
                return {"new": one.new.model, "share": one.share, "returned": one.returned}
        return {}


def rollout_message(one: RolloutSnapshot) -> pb.RolloutState:
    """A roll-out as the fleet's state has it."""
    return pb.RolloutState(
        name=one.name,
        share=one.share,
        standing=_version(one.standing),
        new=_version(one.new),
        returned=one.returned,
        returned_age_s=seconds(one.returned_age_ns),
        said=said(one),
    )


def _version(counts: VersionCounts) -> pb.VersionState:
    return pb.VersionState(
        model=counts.model,
        answers=counts.answers,
        failed=counts.failed,
        first_tokens=counts.first_tokens,
        late=counts.late,
        streams=counts.streams,
        slow=counts.slow,
    )
