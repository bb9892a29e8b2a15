"""The requests of one priority level that wait, by tenant, and which of them is next."""

from collections.abc import Mapping

from router.policy.fair_share import FairShare
from router.policy.lazy_heap import LazyHeap
from router.policy.waiting import Waiting


class Backlog:
    """One level's queue.

    Tenants are served by their weights; a tenant's own requests by the priority that it gave them,
    and then short prompts first: in the order of arrival and patience, which grows with the work.
    While there is more work than capacity, the order of arrival would make everybody late by the
    same. Those past their objective come after all that are in time: an answer that is late anyway
    must not make another late.
    """

    __slots__ = ("_in_time", "_late", "shares")

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.shares: FairShare[str] = FairShare(weights)
        self._in_time = _Queues()
        self._late = _Queues()

    def __len__(self) -> int:
        return len(self._in_time) + len(self._late)

    @property
    def work(self) -> float:
        """The work that waits and is in time."""
        return sum(self._in_time.work.values())

    def push(self, entry: Waiting) -> None:
        """A request joins."""
        (self._late if entry.late else self._in_time).push(entry)

    def leave(self, entry: Waiting) -> None:
        """A request leaves, sent or not."""
        entry.over = True
        (self._late if entry.late else self._in_time).leave(entry)

    def next(self) -> Waiting:
        """Who is next; somebody waits."""
        queues = self._in_time if self._in_time.work else self._late
        return queues.first(self.shares.next(queues.work))

    def ahead(self, tenant: str, work: float) -> float:
        """What is served, of this level, before a new request of a tenant and with it."""
        waiting = self._in_time.work
        return self.shares.ahead(tenant, self._in_time.no_larger(tenant, work) + work, waiting)

    def longest(self) -> Waiting:
        """The last request of the tenant with the most waiting for its weight; somebody waits."""
        queues = self._late if self._late.work else self._in_time
        tenant = max(queues.work, key=lambda name: queues.work[name] / self.shares.weight(name))
        return queues.last(tenant)


class _Queues:
    """A queue for each tenant that has something in it."""

    __slots__ = ("_count", "_queues", "_sizes", "work")

    def __init__(self) -> None:
        self._queues: dict[str, LazyHeap[Waiting]] = {}
        self._sizes: dict[str, dict[int, float]] = {}  # work by tenant and size, in powers of two
        self._count = 0
        self.work: dict[str, float] = {}  # by tenant; none that has nothing

    def __len__(self) -> int:
        return self._count

    def push(self, entry: Waiting) -> None:
        queue = self._queues.get(entry.tenant)
        if queue is None:
            queue = self._queues[entry.tenant] = LazyHeap()
            self._sizes[entry.tenant] = {}
        queue.push(entry.due, entry)
        self._count += 1
        self.work[entry.tenant] = self.work.get(entry.tenant, 0.0) + entry.work
        sizes, size = self._sizes[entry.tenant], _size(entry.work)
        sizes[size] = sizes.get(size, 0.0) + entry.work

    def leave(self, entry: Waiting) -> None:
        queue = self._queues[entry.tenant]
        queue.left()
        self._count -= 1
        if len(queue):
            self.work[entry.tenant] -= entry.work
            self._sizes[entry.tenant][_size(entry.work)] -= entry.work
        else:  # floats drift; an empty queue has no work
            del self._queues[entry.tenant], self._sizes[entry.tenant], self.work[entry.tenant]

    def no_larger(self, tenant: str, work: float) -> float:
        """A tenant's work in requests of about this size or less: what goes before such a one."""
        size = _size(work)
        sizes = self._sizes.get(tenant, {})
        return sum(work for other, work in sizes.items() if other <= size)

    def first(self, tenant: str) -> Waiting:
        found = self._queues[tenant].first()
        if found is None:
            raise LookupError(f"nothing of {tenant!r} waits")
        return found[1]

    def last(self, tenant: str) -> Waiting:
        return self._queues[tenant].last()


def _size(work: float) -> int:
    return int(work).bit_length()
