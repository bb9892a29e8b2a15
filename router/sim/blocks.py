"""The paged KV cache of a replica: blocks shared by prefix, the least recently used given up first.

A block is *held* while a running request uses it, *idle* when it is only cached, *private* when it
has no name (a partial block, or one whose content no other prompt can share).
"""

from collections import OrderedDict
from collections.abc import Sequence


class Blocks:
    """Counts of blocks, and the names of those that a later prompt could reuse."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.changes: dict[int, bool] | None = None
        """Since it was last emptied, by name: now here, or given up. None: nobody asks."""
        self.private = 0
        self._held: dict[int, int] = {}  # name -> requests that hold it
        self._idle: OrderedDict[int, None] = OrderedDict()  # oldest first

    @property
    def available(self) -> int:
        """Blocks that a request could be given, idle ones included."""
        return self.capacity - self.private - len(self._held)

    @property
    def used(self) -> int:
        """Blocks that running requests hold."""
        return self.private + len(self._held)

    def cached(self, names: Sequence[int], most: int) -> int:
        """How many leading blocks of a prompt are here, counting at most `most`."""
        held, idle = self._held, self._idle
        count = 0
        for name in names:
            if count == most or not (name in held or name in idle):
                break
            count += 1
        return count

    def idle_among(self, names: Sequence[int], count: int) -> int:
        """How many of the first `count` blocks are idle: holding them takes from `available`."""
        idle = self._idle
        return sum(name in idle for name in names[:count])

    def hold(self, names: Sequence[int], count: int) -> None:
        """Hold the first `count` blocks, which are here."""
        held, idle = self._held, self._idle
        for name in names[:count]:
            if name in held:
                held[name] += 1
            else:
                del idle[name]
                held[name] = 1

    def name(self, names: Sequence[int]) -> list[int]:
        """Give new blocks their names and hold them; the names that were not taken already.

        The blocks must have been taken as private; those whose name is taken stay private.
        """
        held, idle = self._held, self._idle
        fresh = dict.fromkeys(names, 1)
        if not (held.keys().isdisjoint(fresh) and idle.keys().isdisjoint(fresh)):
            fresh = {name: 1 for name in fresh if name not in held and name not in idle}
        held.update(fresh)
        if self.changes is not None:
            self.changes.update(dict.fromkeys(fresh, True))
        self.private -= len(fresh)
        return list(fresh)

    def take(self, count: int) -> None:
        """Take `count` private blocks, giving up the oldest idle ones where none is free."""
        self.private += count
        excess = self.private + len(self._held) + len(self._idle) - self.capacity
        if excess > 0:
            give_up = self._idle.popitem
            gone = [give_up(last=False)[0] for _ in range(excess)]
            if self.changes is not None:
                self.changes.update(dict.fromkeys(gone, False))

    def release(self, names: Sequence[int], private: int) -> None:
        """Let go of named and private blocks; of the named ones the tail is given up first."""
        held, idle = self._held, self._idle
        for name in reversed(names):
            if held[name] == 1:
                del held[name]
                idle[name] = None
            else:
                held[name] -= 1
        self.private -= private
