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
_SCANNED_MAX = 256  # looked over for the least busy, on each side

_busyness = attrgetter("busyness")


class Pool:
    """The endpoints of one model, and the shortest context among them (0: none is known)."""

    __slots__ = ("_home", "_rented", "context_min", "members")

    def __init__(self) -> None:
        self.members: list[Tracked] = []
        self._home: list[Tracked] = []
        self._rented: list[Tracked] = []
        self.context_min = 0

    def add(self, tracked: Tracked) -> None:
        """An endpoint joins."""
        self.members.append(tracked)
        (self._home if tracked.site.is_home else self._rented).append(tracked)
        context = tracked.endpoint.max_model_tokens
        if context:
            self.context_min = min(context, self.context_min or context)

    def remove(self, tracked: Tracked) -> None:
        """An endpoint leaves; no effect if it is not in the pool."""
        for members in (self.members, self._home, self._rented):
            if tracked in members:
                members.remove(tracked)
        contexts = (t.endpoint.max_model_tokens for t in self.members)
        self.context_min = min(filter(None, contexts), default=0)

    @property
    def is_large(self) -> bool:
        """Whether a decision judges a shortlist instead of every endpoint."""
        return len(self.members) > CANDIDATES_MAX

    def shortlist(self, warm: Iterable[Tracked | None], rng: random.Random) -> list[Tracked]:
        """The endpoints to judge for a request that may be `warm` at some."""
        chosen = {t.name: t for t in warm if t is not None and not t.gone}
        for side in (self._home, self._rented):
            if not side:
                continue
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
