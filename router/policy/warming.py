"""A site that is new is given a trickle of turns, and more as it answers well.

A site may be reached, say the right model, and still be slow, half configured or broken in a way
that only answers show. So the first turns are few. Of all turns decided since it came, it may have
a small share, and few of them at a time: one at first. Each `warming_answers` answers that came
well, in time and to their ends, double both. A failure, or a lost connection, takes all of it back.
When the share has reached one, the site is warm, for good: what fails later is the breaker's.

The breaker (`router.policy.breaker`) judges an endpoint by failures in a row, after it was trusted;
parole (`router.policy.parole`) holds back prompts. Neither bounds what a site gets that has not
failed yet. A bound on its turns at a time alone was rejected: short turns at a high rate would all
be its own. So was a time for which it is watched: where little is asked, time proves nothing.

Where nobody else has room its share is no bound, and how many it may have at a time still is: to
wait or to be refused beside an idle site would be worse than to try it. Where there is nobody else
at all, neither is a bound. See `router.policy.decider`.

A site is new only beside one that is proven, so a router that starts warms up nobody.
"""

from dataclasses import dataclass

from router.policy.fleet import Limits


@dataclass(slots=True)
class TurnCount:
    """Turns that a router has sent, wherever they went."""

    sent: int = 0


class Warming:
    """The trickle of one site. It is warm until `begin` is called."""

    __slots__ = ("_before", "_good", "_limits", "_mine", "_turns", "is_warm", "open", "proven")

    def __init__(self, limits: Limits, turns: TurnCount) -> None:
        """`turns` is its router's."""
        self._limits = limits
        self._turns = turns
        self._before = 0  # of the router's turns, before this site came
        self._mine = 0  # since then, sent here
        self._good = 0  # answers that came well since it last failed
        self.is_warm = True
        self.open = 0  # turns that are at the site
        self.proven = 0  # answers that came well, ever

    @property
    def share(self) -> float:
        """Of all turns, what it may have; 1 for a site that is warm."""
        if self.is_warm:
            return 1.0
        return min(1.0, self._limits.warming_share * self._times)

    @property
    def has_slot(self) -> bool:
        """Whether it may have one more turn beside those that are there."""
        return self.is_warm or self.open < self._times

    @property
    def allows(self) -> bool:
        """Whether it may have one more turn now, where others could have it as well."""
        if self.is_warm:
            return True
        within = self._mine <= self.share * (self._turns.sent + 1 - self._before)
        return within and self.has_slot

    @property
    def is_proven(self) -> bool:
        """Whether it is one beside which others are new."""
        return self.is_warm and self.proven >= self._limits.warming_answers

    def adopt(self, limits: Limits) -> None:
        """The fleet's limits are these from now on."""
        self._limits = limits

    def begin(self) -> None:
        """It is new."""
        self.is_warm = False
        self._before, self._mine, self._good = self._turns.sent, 0, 0

    def on_send(self) -> None:
        """A turn is sent there."""
        self.open += 1
        self._mine += 1

    def on_end(self, *, well: bool | None) -> None:
        """A turn ended there, well, badly, or (None) in a way that says nothing of the site."""
        self.open -= 1
        if well is None:
            return
        if not well:
            self.on_failure()
            return
        self.proven += 1
        self._good += 1
        self.is_warm = self.is_warm or self.share >= 1.0

    def on_failure(self) -> None:
        """What it had earned is taken back. No effect on a site that is warm.

        What it has had still counts: one that fails again and again gets no more than the least.
        """
        self._good = 0

    @property
    def _times(self) -> int:
        """How many times the first trickle it has earned."""
        return 1 << min(self._good // self._limits.warming_answers, 62)
