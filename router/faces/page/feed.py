"""The one feed behind every open page: the state is read once and encoded once, for all of them."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Final

from router.faces.page.change import change
from router.faces.page.desk import Desk, Look
from router.faces.page.encoding import Encoded
from router.faces.page.frame import frame
from router.faces.page.history import SAMPLE_S, History
from router.observe.recent_decisions import KEPT_MAX
from wire.spillway.v1 import fleet_pb2 as pb

FRAME_S: Final = 0.5
"""Between frames, while anybody looks: what happens is seen well within two seconds."""

VIEWERS_MAX: Final = 64
"""Pages open at a time: each costs a connection and a copy of each frame on its way."""

DECISIONS_MAX: Final = 8
"""In a frame: more go by faster than anybody reads. The page tells how many it was not told."""


class TooManyViewersError(Exception):
    """No more pages may look."""


class Frame:
    """A frame, whole and as what has changed since the one before; each is encoded if needed."""

    def __init__(self, number: int, told: dict[str, Any], before: "Frame | None") -> None:
        self.number: Final = number
        self.told: Final = told
        self._before = None if before is None else before.told

    @cached_property
    def whole(self) -> Encoded:
        """For who has not seen the one before."""
        return Encoded("frame", self.told)

    @cached_property
    def changed(self) -> Encoded:
        """For who has."""
        return self.whole if self._before is None else Encoded("change", self._change(self._before))

    def _change(self, before: dict[str, Any]) -> dict[str, Any]:
        # Decisions are of one frame each, and are told as they are.
        changes: dict[str, Any] = change(before | {"decisions": None}, self.told)
        return changes


class Viewer:
    """One open page. Where it is slow it misses frames, and nothing gathers for it."""

    def __init__(self, feed: "Feed", seen: int) -> None:
        self._feed = feed
        self._seen = seen
        self._knows = 0  # the number of the frame that it has, whole; 0: of none
        self._age = feed.age

    async def next(self) -> Encoded | None:
        """The latest frame that it has not seen; None when it is to come again."""
        frame = await self._feed.after(self._seen, self._age)
        if frame is None:
            return None
        follows = self._knows == frame.number - 1 > 0
        self._seen = self._knows = frame.number
        return frame.changed if follows else frame.whole


class Feed:
    """Looks while it runs, often while somebody else looks and seldom otherwise."""

    def __init__(self, desk: Desk, sites: Sequence[str]) -> None:
        """`sites` are those that pages were told of, in that order."""
        self._desk = desk
        self._sites = sites
        self._history = History()
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT_MAX)
        self._decided = 0  # how many decisions there were
        self._told = 0  # the number of the last decision in a frame
        self._viewers = 0
        self._frame: Frame | None = None
        self._number = 0  # of frames so far
        self._looking = asyncio.Lock()
        self._changed = asyncio.Condition()
        self._wanted = asyncio.Event()  # a viewer has come
        self._closed = False
        self.age = 0  # of the fleet: frames of two of them do not go together

    def begin_anew(self, sites: Sequence[str]) -> None:
        """The fleet is another one: pages that are open begin again, without a past."""
        self.age += 1
        self._sites = sites
        self._history = History()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            look = await self._look()
            sampled = self._history.add(look.state)
            if self._viewers:
                await self._publish(look, sampled=sampled)
                await asyncio.sleep(FRAME_S)
            else:
                self._wanted.clear()
                await self._wait_for_viewer()

    async def now(self) -> dict[str, Any]:
        """What a page needs to begin with: a frame with the kept decisions, and the past."""
        look = await self._look()
        return {
            "frame": frame(look.state, look.flows, self._kept),
            "history": self._history.samples(),
        }

    @contextlib.contextmanager
    def viewer(self) -> Iterator["Viewer"]:
        """Somebody who looks. Raises TooManyViewersError where enough pages do."""
        if self._viewers >= VIEWERS_MAX:
            raise TooManyViewersError
        self._viewers += 1
        self._wanted.set()
        try:
            yield Viewer(self, self._number)
        finally:
            self._viewers -= 1

    async def after(self, number: int, age: int) -> Frame | None:
        """The latest frame, once there is one after this number.

        None when the router closes, or where the fleet is not the one of this age any more.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or self._number > number)
        if self._closed or self._frame is None or age != self.age:
            return None
        return self._frame

    async def close(self) -> None:
        """Ends all frames."""
        self._closed = True
        async with self._changed:
            self._changed.notify_all()

    async def _look(self) -> Look:
        """How it stands; what was decided since the last look gets its numbers."""
        async with self._looking:
            look = await self._desk.look()
        self._decided += look.decided
        first = self._decided - len(look.decisions) + 1
        self._kept.extend({"number": first + at, **one} for at, one in enumerate(look.decisions))
        state = _of_sites(look.state, self._sites)
        return Look(state, look.flows, look.decided, look.decisions)

    async def _publish(self, look: Look, *, sampled: bool) -> None:
        new = [one for one in self._kept if one["number"] > self._told]
        self._told = self._decided
        told = frame(look.state, look.flows, _most_telling(new))
        told["decided"] = self._told
        told["sampled"] = sampled
        self._number += 1
        self._frame = Frame(self._number, told, self._frame)
        async with self._changed:
            self._changed.notify_all()

    async def _wait_for_viewer(self) -> None:
        try:
            async with asyncio.timeout(SAMPLE_S):
                await self._wanted.wait()
        except TimeoutError:
            return


def _most_telling(decisions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of more than a frame tells, those that a person would rather read; oldest first."""
    chosen = sorted(decisions, key=lambda one: (_interest(one), one["number"]))[-DECISIONS_MAX:]
    return sorted(chosen, key=lambda one: int(one["number"]))


def _interest(decision: dict[str, Any]) -> int:
    """More of what left its place or was refused than of what waits, and least of what stays."""
    if decision.get("flow") == "settled":
        return 0
    return 1 if decision["action"] == "wait" else 2


def _of_sites(state: pb.FleetState, names: Sequence[str]) -> pb.FleetState:
    """With just these sites, in this order: others come and go, and pages were told of these."""
    if [site.name for site in state.sites] != [*names]:
        known = {site.name: site for site in state.sites}
        sites = [known.get(name, pb.SiteState(name=name)) for name in names]
        del state.sites[:]
        state.sites.extend(sites)
    return state
