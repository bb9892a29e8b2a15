"""Tells a written history to a new core and compares its decisions with the written ones."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from router.observe.event import Event, Started
from router.observe.tell import tell
from router.policy.core import RouterCore
from router.policy.decision import Decision


class ReplayError(Exception):
    """The history cannot be replayed: it does not begin with a start, or has a gap."""


@dataclass(frozen=True, slots=True)
class Divergence:
    """A decision that came out differently."""

    event: Event
    decided: Decision | None
    released: tuple[Decision, ...]


def replay(events: Iterable[Event]) -> Iterator[Divergence]:
    """Every event whose decision a new core does not make again.

    Raises ReplayError where the events do not begin with `Started` or do not follow one another.
    """
    history = iter(events)
    first = next(history, None)
    if first is None or not isinstance(first.happening, Started):
        raise ReplayError("the history does not begin with the start of a router")
    core = RouterCore(first.happening.fleet)
    rng = random.Random(first.happening.seed)
    previous = first.sequence
    for event in history:
        if event.sequence != previous + 1:
            raise ReplayError(f"events are missing between {previous} and {event.sequence}")
        previous = event.sequence
        decided = tell(core, event.happening, event.now_ns, rng)
        released = core.release(event.now_ns, rng)
        if decided != event.decision or released != event.released:
            yield Divergence(event, decided, released)
