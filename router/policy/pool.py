"""The endpoints that serve one model, and which of them a request looks at.

With few endpoints every one is judged. With many, a decision that judged all would grow with the
fleet, so a shortlist is judged: where the session is placed, where its prefix was last sent, and on
each side, home and rented, the least busy and a few at random. Two random choices already remove
most of the imbalance of one (the power of two choices); the least busy is there so that home is not
left while it has an idle replica that chance did not draw.
"""

import random
from collections.abc import Iterable
from operator import attrgetter

from router.policy.tracked import Tracked

CANDIDATES_MAX = 24  # judged by one decision
_DRAWN = 4  # at random, on each side
ADAPTERS_MAX = 4_096  # names remembered of a model's; the endpoints have their own
_SCANNED_MAX = 256  # looked over for the least busy, on each side

_busyness = attrgetter("busyness")


class Pool:
    """The endpoints of one model, and the shortest context among them (0: none is known)."""

    __slots__ = ("_adapters", "_home", "_rented", "context_min", "members")

    def __init__(self) -> None:
        self.members: list[Tracked] = []
        self._home: list[Tracked] = []
        self._rented: list[Tracked] = []
        self.context_min = 0
        self._adapters: dict[str, None] = {}  # that any has had, the latest last

    def add(self, tracked: Tracked) -> None:
        """An endpoint joins."""
        self.members.append(tracked)
        (self._home if tracked.site.is_home else self._rented).append(tracked)
        context = tracked.endpoint.max_model_tokens
        if context:
            self.context_min = min(context, self.context_min or context)
        for name, _ in tracked.endpoint.identity.adapters:
            self._adapters.pop(name, None)
            self._adapters[name] = None
        while len(self._adapters) > ADAPTERS_MAX:
            del self._adapters[next(iter(self._adapters))]

    def remove(self, tracked: Tracked) -> None:
        """An endpoint leaves; no effect if it is not in the pool."""
        for members in (self.members, self._home, self._rented):
            if tracked in members:
                members.remove(tracked)
        contexts = (t.endpoint.max_model_tokens for t in self.members)
        self.context_min = min(filter(None, contexts), default=0)

    def knows(self, adapter: str) -> bool:
        """Whether any of them has had it: it may come back with who is gone. True for none."""
        return not adapter or adapter in self._adapters

    def all_have(self, adapter: str) -> bool:
        """Whether a request for it may go to any of them. True for none."""
        return not adapter or all(not one.adapters.why_not(adapter) for one in self.members)

    @property
    def is_large(self) -> bool:
        """Whether a decision judges a shortlist instead of every endpoint."""
        return len(self.members) > CANDIDATES_MAX

    def shortlist(
        self, warm: Iterable[Tracked | None], rng: random.Random, adapter: str = ""
    ) -> list[Tracked]:
        """The endpoints to judge for a request that may be `warm` at some.

        For one with an adapter they are among those that have it, if there are any: on each side
        the least busy where it is loaded, and others that would load it.
        """
        chosen = {t.name: t for t in warm if t is not None and not t.gone}
        for side in self._sides(adapter):
            if not side:
                continue
            if adapter and (loaded := [one for one in side if one.adapters.holds(adapter)]):
                least = min(loaded, key=_busyness)
                chosen[least.name] = least
            count = len(side)
            start = int(rng.random() * count) if count > _SCANNED_MAX else 0
            scanned = side[start : start + _SCANNED_MAX]
            least = min(scanned, key=_busyness)
            chosen[least.name] = least
            if not least.site.warming.is_warm:  # idle because it may have but a trickle
                trusted = [one for one in scanned if one.site.warming.is_warm]
                if trusted:
                    least = min(trusted, key=_busyness)
                    chosen[least.name] = least
            for _ in range(_DRAWN):
                drawn = side[int(rng.random() * count)]
                chosen[drawn.name] = drawn
        return list(chosen.values())

    def _sides(self, adapter: str) -> tuple[list[Tracked], list[Tracked]]:
        sides = self._home, self._rented
        if not adapter:
            return sides
        home, rented = ([t for t in side if t.adapters.why_not(adapter) == ""] for side in sides)
        return (home, rented) if home or rented else sides
