"""The one feed behind every open page: the state is read once and encoded once, for all of them."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from router.faces.page.encoding import Encoded
from router.faces.page.frame import frame
from router.faces.page.history import SAMPLE_S, History
from router.observe.recent_decisions import KEPT_MAX, RecentDecisions
from wire.spillway.v1 import fleet_pb2 as pb

FRAME_S: Final = 0.5
"""Between frames, while anybody looks: what happens is seen well within two seconds."""

VIEWERS_MAX: Final = 64
"""Pages open at a time: each costs a connection and a copy of each frame on its way."""

DECISIONS_MAX: Final = 20
"""In a frame: more go by faster than anybody reads. The page tells how many it was not told."""


class TooManyViewersError(Exception):
    """No more pages may look."""


class Viewer:
    """One open page. Where it is slow it misses frames, and nothing gathers for it."""

    def __init__(self, feed: "Feed", seen: int) -> None:
        self._feed = feed
        self._seen = seen
        self._age = feed.age

    async def next(self) -> Encoded | None:
        """The latest frame that it has not seen; None when it is to come again."""
        latest = await self._feed.after(self._seen, self._age)
        if latest is None:
            return None
        self._seen, frame = latest
        return frame


class Feed:
    """Reads the state while it runs, often while somebody looks and seldom otherwise."""

    def __init__(self, state: Callable[[], pb.FleetState], decisions: RecentDecisions) -> None:
        self._state: Callable[[], pb.FleetState] = lambda: _staying(state())
        self._decisions = decisions
        self._history = History()
        self._told = 0  # the number of the last decision in a frame
        self._viewers = 0
        self._frame: Encoded | None = None
        self._number = 0  # of frames so far
        self._changed = asyncio.Condition()
        self._wanted = asyncio.Event()  # a viewer has come
        self._closed = False
        self.age = 0  # of the fleet: frames of two of them do not go together

    def begin_anew(self) -> None:
        """The fleet is another one: pages that are open begin again, without a past."""
        self.age += 1
        self._history = History()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            state = self._state()
            sampled = self._history.add(state)
            if self._viewers:
                await self._publish(state, sampled=sampled)
                await asyncio.sleep(FRAME_S)
            else:
                self._wanted.clear()
                await self._wait_for_viewer()

    def now(self) -> dict[str, Any]:
        """What a page needs to begin with: a frame with the kept decisions, and the past."""
        kept = self._decisions.since(0, KEPT_MAX)
        return {
            "frame": frame(self._state(), self._decisions.flows, kept),
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

    async def after(self, number: int, age: int) -> tuple[int, Encoded] | None:
        """The latest frame, once there is one after this number.

        None when the router closes, or where the fleet is not the one of this age any more.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or self._number > number)
        if self._closed or self._frame is None or age != self.age:
            return None
        return self._number, self._frame

    async def close(self) -> None:
        """Ends all frames."""
        self._closed = True
        async with self._changed:
            self._changed.notify_all()

    async def _publish(self, state: pb.FleetState, *, sampled: bool) -> None:
        new = self._decisions.since(self._told, DECISIONS_MAX)
        self._told = self._decisions.count
        told = frame(state, self._decisions.flows, new)
        told["decided"] = self._told
        told["sampled"] = sampled
        self._frame = Encoded("frame", told)
        self._number += 1
        async with self._changed:
            self._changed.notify_all()

    async def _wait_for_viewer(self) -> None:
        try:
            await asyncio.wait_for(self._wanted.wait(), SAMPLE_S)
        except TimeoutError:
            return


def _staying(state: pb.FleetState) -> pb.FleetState:
    """Without the sites that the fleet file has no longer: the page was not told of them."""
    staying = [site for site in state.sites if not site.leaving]
    if len(staying) < len(state.sites):
        del state.sites[:]
        state.sites.extend(staying)
    return state
