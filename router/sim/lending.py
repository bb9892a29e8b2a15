"""A site's schedule of lending as what befalls the replicas of a simulated world."""

from collections.abc import Collection, Iterator

from router.policy.lending import MINUTES_OF_WEEK, NS_PER_MINUTE, Lending, lent_of
from router.sim.plan import Lend


def lends_of(
    lending: Lending,
    replicas: Collection[str],
    *,
    begins_minute: float,
    lasts_ns: int,
    notice_ns: int,
    clock: float = 1.0,
) -> Iterator[Lend]:
    """When each of a site's replicas is lent, in a world that begins in this minute of the week.

    `clock` is how many seconds of the week pass in one of the world. What is lent when it begins
    has been taken away already; what is lent at the end is not brought back before.
    """
    since: dict[str, int] = {}
    for at_ns, minute in _changes(lending, begins_minute, lasts_ns, clock):
        names = set(lent_of(replicas, len(replicas) - lending.lent(minute)))
        for name in sorted(since.keys() - names):
            begun_ns = since.pop(name)
            yield Lend(name, begun_ns, at_ns, notice_ns if begun_ns else 0)
        since.update(dict.fromkeys(names - since.keys(), at_ns))
    for name, begun_ns in sorted(since.items()):
        yield Lend(name, begun_ns, lasts_ns, notice_ns if begun_ns else 0)


def _changes(
    lending: Lending, begins_minute: float, lasts_ns: int, clock: float
) -> Iterator[tuple[int, int]]:
    """The beginning, and every time until the end at which the number lent may change."""
    yield 0, int(begins_minute) % MINUTES_OF_WEEK
    edges = lending.edges()
    week = int(begins_minute // MINUTES_OF_WEEK)
    while edges:
        for edge in edges:
            ahead_ns = (week * MINUTES_OF_WEEK + edge - begins_minute) * NS_PER_MINUTE / clock
            if ahead_ns >= lasts_ns:
                return
            if ahead_ns > 0:
                yield round(ahead_ns), edge
        week += 1
