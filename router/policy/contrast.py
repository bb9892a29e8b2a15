"""Whether a new version does worse than the one beside it, judged answer by answer.

The question is asked after every answer and for as long as both serve, so that a test for one
sample of a fixed size would cry wolf; and what both suffer alike, a rush or a broken link, is no
fault of the new one. So:

- *Against each other.* Answers are taken in blocks of at least `_BLOCK`, which close as soon as
  both versions have one in them: answers of the same moment. Given how many of a block are bad, how
  many of these are the new version's depends on nothing but the ratio of the odds of being bad. The
  probability of that number where the new version is a lot worse, divided by that where it is no
  more than `_ALIKE` times as bad, is multiplied up over the blocks. Where the new version is not
  worse, whatever happens to both in whatever order, that product has no drift upwards: on average
  it takes `e^_SURE` blocks at least before it is that large (Ville's inequality; Lorden 1971 for
  the start anew). It starts anew whenever it is below 1, so that a version that has been good for a
  week is found bad as soon as one that is bad from its first answer.
- *Against what is promised.* Worse by a ratio is no harm by itself: two failures in a million are
  twice as many as one. The new version has to be bad more often than is tolerated, too, by a
  sequential test of its own answers.

Answers have to be independent: what one event breaks, a crash for example, counts once
(`router.policy.rollouts`). Rejected: rates over a window, which need a window for every load and
have no bound on false alarms; and a rate learned from the standing version before, which a rush
that hits both makes wrong at once.
"""

from math import log

_BLOCK = 10
"""Answers, at least. Longer blocks tell more of versions with equal shares, and tell it later."""

_ALIKE = 1.5
"""Odds that are no more than so many times the other's are no reason for anything."""

_WORSE = (4.0, 40.0)
"""Odds that are looked for: worse, and broken. Each by itself; the likelier counts."""

_SURE = log(1e5)
"""No false alarm in a hundred thousand blocks; six failures in a row of one in ten answers."""

_OVER = 3.0
"""Times what is tolerated, that the second test looks for."""

_OVER_SURE = log(100.0)
"""It bounds the harm, and the first test bounds false alarms."""


class Contrast:
    """One kind of badness, compared. `standing` and `new` count answers: all, and the bad ones."""

    __slots__ = ("_block", "_over", "_worse", "new", "standing")

    def __init__(self) -> None:
        self.standing = [0, 0]
        self.new = [0, 0]
        self._block = ([0, 0], [0, 0])  # of the standing version, and of the new one
        self._worse = [0.0] * len(_WORSE)
        self._over = 0.0

    def add(self, *, is_new: bool, bad: bool, tolerated: float) -> None:
        """An answer of either version; `tolerated` is the share that may be bad."""
        total, block = (self.new if is_new else self.standing), self._block[is_new]
        total[0] += 1
        total[1] += bad
        block[0] += 1
        block[1] += bad
        if is_new:
            over = min(_OVER * tolerated, (1.0 + tolerated) / 2.0)
            step = log(over / tolerated) if bad else log((1.0 - over) / (1.0 - tolerated))
            self._over = min(_OVER_SURE, max(0.0, self._over + step))
        (standing, _), (newer, _) = self._block
        if standing and newer and standing + newer >= _BLOCK:
            self._close()

    @property
    def is_worse(self) -> bool:
        """Whether the new version is worse, and bad more often than is tolerated."""
        return self._over >= _OVER_SURE and max(self._worse) >= _SURE

    def _close(self) -> None:
        (standing, standing_bad), (new, new_bad) = self._block
        self._block = ([0, 0], [0, 0])
        answers, bad = standing + new, standing_bad + new_bad
        if not 0 < bad < answers:
            return  # all alike: whose they are says nothing
        alike = _chance(new_bad, _ALIKE, standing, new, bad)
        for place, odds in enumerate(_WORSE):
            ratio = _chance(new_bad, odds, standing, new, bad) / alike
            self._worse[place] = min(_SURE, max(0.0, self._worse[place] + log(ratio)))


def _chance(new_bad: int, odds: float, standing: int, new: int, bad: int) -> float:
    """That so many of a block's bad answers are the new version's.

    `odds` are the new version's of a bad answer, in units of the standing one's. It is Fisher's
    noncentral hypergeometric distribution, with as many terms as the smaller side has answers.
    """
    weight, total, mine = 1.0, 0.0, 0.0
    for count in range(max(0, bad - standing), min(new, bad) + 1):
        total += weight
        if count == new_bad:
            mine = weight
        left = (count + 1) * (standing - bad + count + 1)
        weight *= odds * (new - count) * (bad - count) / left
    return mine / total
