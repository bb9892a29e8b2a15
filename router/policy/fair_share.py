"""Who is served next when several want the same capacity: start-time fair queueing, in tokens.

Each party has a virtual time, which grows by the work that is done for it, divided by its weight.
The one that is furthest behind is served next, so over any time in which two of them wait, what
they are given differs from the ratio of their weights by no more than one request of each. A party
that comes back after a pause begins at the present virtual time: being idle saves nothing up, and
what was used while nobody else wanted it is not held against anybody.

Work is counted in tokens because requests differ a hundredfold: turns by turns, a tenant of long
prompts would be given most of the engines. How long an answer is, is only guessed when it is sent;
`correct` settles the difference once it is known. (Start-time fair queueing: Goyal, Vin and Cheng
1996; counting tokens of both kinds: Sheng et al., "Fairness in Serving Large Language Models",
OSDI 2024.)

Rejected: a quota for each tenant, which leaves capacity idle that nobody else may use.
"""

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

Party = TypeVar("Party", str, int)


class FairShare(Generic[Party]):
    """The virtual times of parties with known weights; one of unknown weight has weight 1."""

    __slots__ = ("_finished", "_now", "_weights")

    def __init__(self, weights: Mapping[Party, float]) -> None:
        self._weights: Mapping[Party, float] = weights
        self._finished: dict[Party, float] = {}
        self._now = 0.0  # virtual: when the last service began

    def next(self, waiting: Iterable[Party]) -> Party:
        """Who of those that wait is served next; of equals the first. At least one waits."""
        return min(waiting, key=self.begins)

    def begins(self, party: Party) -> float:
        """The virtual time at which its next service would begin."""
        return max(self._now, self._finished.get(party, 0.0))

    def served(self, party: Party, work: float) -> None:
        """So much work is done for it."""
        self._now = begun = self.begins(party)
        self._finished[party] = begun + work / self.weight(party)

    def correct(self, party: Party, more: float) -> None:
        """What was done for it came to so much more than was taken; negative: less."""
        if party in self._finished:
            self._finished[party] += more / self.weight(party)

    def weight(self, party: Party) -> float:
        """Its weight."""
        return self._weights.get(party, 1.0)

    def ahead(self, party: Party, own: float, waiting: Mapping[Party, float]) -> float:
        """The work that is done before the next request of a party that has `own` work waiting.

        `waiting` is the work that waits for each party, its own left out. While its own work is
        done, each other is served in the ratio of the weights, no more than it has, and those that
        are behind catch up first.
        """
        until = self.begins(party) + own / self.weight(party)
        total = own
        for other, work in waiting.items():
            if other != party:
                share = (until - self.begins(other)) * self.weight(other)
                total += min(work, max(0.0, share))
        return total
