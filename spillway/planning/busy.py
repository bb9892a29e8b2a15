"""How many replicas of a site work at once, and how many of them are best paid for by contract.

A metered replica is paid while it works, a committed one all the time and less by the hour. So the
k-th replica to work is best committed where it works more of the time than the ratio of the prices:
the newsvendor's rule, applied to the share of time in which at least k are at work.
"""

from collections.abc import Iterable, Sequence


def work(intervals: Iterable[tuple[str, int, int]]) -> list[int]:
    """In how many nanoseconds at least 1, 2, 3 ... replicas work.

    Of each request its replica, and when it was there from and to.
    """
    changes = sorted(
        change
        for replica, begin, end in intervals
        for change in ((begin, 1, replica), (end, -1, replica))
    )
    in_flight: dict[str, int] = {}
    at_least: list[int] = []
    busy, since = 0, 0
    for at, change, replica in changes:
        for index in range(busy):
            at_least[index] += at - since
        since = at
        count = in_flight.get(replica, 0) + change
        in_flight[replica] = count
        if change > 0 and count == 1:
            busy += 1
            if busy > len(at_least):
                at_least.append(0)
        elif change < 0 and count == 0:
            busy -= 1
    return at_least


def committed(share_at_least: Sequence[float], committed_usd: float, metered_usd: float) -> int:
    """How many to commit, given in which share of time at least 1, 2, 3 ... replicas work."""
    return sum(metered_usd * share > committed_usd for share in share_at_least)
