"""What each watcher has yet to hear of the set of cached prefix blocks."""

from weakref import WeakSet

from serving.engine import PrefixBlocks

CHANGES_MAX = 8_192
"""Blocks named in one report: 64 KB. More follow in the next reports."""


class PrefixSet:
    """The blocks an engine has cached, and the backlogs of those who follow it."""

    def __init__(self) -> None:
        self.blocks: set[int] = set()
        self.backlogs: WeakSet[PrefixBacklog] = WeakSet()

    def apply(self, change: PrefixBlocks) -> None:
        """Takes a change in: first the reset, then what was removed, then what was added."""
        if change.reset:
            self.blocks.clear()
        self.blocks.difference_update(change.removed)
        self.blocks.update(change.added)
        for backlog in self.backlogs:
            backlog.note(change)


class PrefixBacklog:
    """The changes that one watcher has not been sent.

    Only the latest state of a block is kept, and where it would name more blocks than the cache
    holds, the whole set is sent anew. So it is bounded by the cache's size and CHANGES_MAX, however
    slowly its watcher reads.
    """

    def __init__(self, prefixes: PrefixSet) -> None:
        self._prefixes = prefixes
        self._pending: dict[int, bool] = {}
        self._reset = True
        self._restart()
        prefixes.backlogs.add(self)

    def __bool__(self) -> bool:
        """Whether there is something to send."""
        return self._reset or bool(self._pending)

    def note(self, change: PrefixBlocks) -> None:
        """A change that the watcher has to hear of."""
        if change.reset:
            self._restart()
            return
        self._pending.update(dict.fromkeys(change.removed, False))
        self._pending.update(dict.fromkeys(change.added, True))
        if len(self._pending) > len(self._prefixes.blocks) + CHANGES_MAX:
            self._restart()

    def take(self) -> PrefixBlocks | None:
        """The next part of the backlog, which it then forgets; None where there is none."""
        if not self:
            return None
        reset, self._reset = self._reset, False
        taken = [self._pending.popitem() for _ in range(min(CHANGES_MAX, len(self._pending)))]
        return PrefixBlocks(
            reset=reset,
            added=[block for block, present in taken if present],
            removed=[block for block, present in taken if not present],
        )

    def _restart(self) -> None:
        self._reset = True
        self._pending = dict.fromkeys(self._prefixes.blocks, True)
