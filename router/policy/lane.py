"""The queue of requests that want the same endpoints, and how fast it moves.

Levels of priority share as tenants do, each with an eighth of the weight of the one before it: the
first has nearly all that it asks for, and the last never nothing. Strict priority was rejected: one
level's flood would starve all below it for as long as it lasts.
"""

from collections.abc import Mapping

from router.policy.backlog import Backlog
from router.policy.fair_share import FairShare
from router.policy.waiting import Waiting
from router.policy.work_rate import WorkRate

_LEVEL_RATIO = 8.0
_CALM_SHARE = 0.2  # of the patience that nothing must have waited for a new wait to be a burst


class Lane:
    """One lane. Its queue is empty most of the time."""

    __slots__ = (
        "_count",
        "_emptied_ns",
        "_levels",
        "_shares",
        "_weights",
        "burst_until_ns",
        "patience_ns",
        "rate",
    )

    def __init__(
        self,
        weights: Mapping[str, float],
        levels: Mapping[int, float],
        patience_ns: int,
        now: int,
    ) -> None:
        self._weights = weights
        self._levels: dict[int, Backlog] = {}
        self._shares: FairShare[int] = FairShare(levels)
        self._count = 0
        self.rate = WorkRate()
        self.patience_ns = patience_ns
        self._emptied_ns = now - patience_ns
        self.burst_until_ns = now + patience_ns  # while something waits: from then on it stands

    def __len__(self) -> int:
        return self._count

    def push(self, entry: Waiting, now: int) -> None:
        """A request joins the queue."""
        if not self._count:
            self.rate.resume(now)
            if now - self._emptied_ns >= _CALM_SHARE * self.patience_ns:
                self.burst_until_ns = now + self.patience_ns
        self._level(entry.level).push(entry)
        self._count += 1

    def leave(self, entry: Waiting, now: int) -> None:
        """A request leaves the queue, sent or not."""
        self._level(entry.level).leave(entry)
        self._count -= 1
        if not self._count:
            self.rate.pause(now)
            self._emptied_ns = now

    def may_be_burst(self, now: int) -> bool:
        """Whether nothing waits, or has waited for long enough to call it standing overload."""
        return not self._count or now < self.burst_until_ns

    def next(self) -> Waiting | None:
        """Who is next; None if nobody waits."""
        waiting = [level for level, backlog in self._levels.items() if len(backlog)]
        return self._levels[self._shares.next(waiting)].next() if waiting else None

    def served(self, level: int, tenant: str, work: float) -> None:
        """A request was sent, whether it waited or not."""
        self._shares.served(level, work)
        self._level(level).shares.served(tenant, work)

    def correct(self, level: int, tenant: str, more: float) -> None:
        """A request that was sent came to so much more work than was taken."""
        self._shares.correct(level, more)
        self._level(level).shares.correct(tenant, more)

    def wait_ns(self, level: int, tenant: str, work: float, now: int) -> int | None:
        """How long a new request would wait; None while too little is known of that.

        The rate is of when something waited last. Were it believed while nothing does, a bad spell
        would have everybody refused on arrival, nobody would wait, and it would never be unlearned.
        """
        rate = self.rate.per_ns_at(now) if self._count else None
        if rate is None:
            return None
        ahead = self._level(level).ahead(tenant, work)
        waiting = {other: backlog.work for other, backlog in self._levels.items() if len(backlog)}
        return int(self._shares.ahead(level, ahead, waiting) / rate)

    def longest(self) -> Waiting | None:
        """Of the last level that waits, the last request of who has most waiting for its weight."""
        waiting = [level for level, backlog in self._levels.items() if len(backlog)]
        return self._levels[max(waiting)].longest() if waiting else None

    def _level(self, level: int) -> Backlog:
        backlog = self._levels.get(level)
        if backlog is None:
            backlog = self._levels[level] = Backlog(self._weights)
        return backlog


def level_weights(levels: set[int]) -> dict[int, float]:
    """The weights of priority levels."""
    return {level: _LEVEL_RATIO ** (1 - level) for level in levels}
