"""What a router holds of a bucket that several routers share.

Several routers spend one budget. Asking a store before each decision would put its network before
every first token, so a router holds an allowance: a part that the store has taken out of the bucket
for it. It decides by what it holds, and some times a second tops it up to what it is likely to use
in the next seconds, so that a decision never waits.

What the store has given out is spent, as far as the bucket is concerned. A router that dies with an
allowance, an answer of the store that is lost, a store that forgets what it knew: each leaves less
to spend, and none leaves more. Two things only are spent beyond it: what requests in flight turn
out to cost above their estimates, which the next top-up pays for; and, of what may not stand still
while the store is away (a tenant's rate), each router's equal share of the rate, by the number of
routers that the store last counted. That is told to the store as debt when it is back.
"""

from math import exp
from typing import NamedTuple

from router.policy.units import NS_PER_S

_AHEAD_NS = 10 * NS_PER_S
"""An allowance lasts about so long at the present pace: a store is restarted in less."""

_DEAREST_NS = 60 * NS_PER_S  # for how long a request is remembered that cost much at once
_DEAREST = 4.0  # such requests can be paid from what is held
_FLOOR_SHARE = 1 / 64  # of the bucket, held by a router that uses nothing
_TARGET_SHARE = 0.5  # of the bucket, held by one at most
_MATTERS = 0.1  # of what should be held; a smaller difference is not worth a word


class Bucket(NamedTuple):
    """A bucket as every router of the fleet knows it from its file."""

    name: str
    most: float  # that may be in it
    per_s: float  # that flows in


class Want(NamedTuple):
    """What a router asks of the store for one bucket."""

    bucket: Bucket
    amount: float  # negative: given back
    debt: float  # used beyond what the store gave out


class Granted(NamedTuple):
    """What the store answered for one bucket."""

    bucket: str
    amount: float  # negative: what is on its way back, whether or not it arrives
    paid: float = 0.0  # of the debt


class Allowance:
    """One router's part of one bucket."""

    __slots__ = ("_at", "_away_per_ns", "_dearest", "_debt", "_held", "_recent", "bucket")

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self._held = 0.0
        self._debt = 0.0
        self._recent = 0.0  # used of late: about what _AHEAD_NS took
        self._dearest = 0.0
        self._away_per_ns = 0.0  # what flows in here while the store is away
        self._at = 0

    def resize(self, bucket: Bucket, now: int) -> None:
        """The bucket, which keeps its name, is of another size; what is held stays held."""
        self._advance(now)
        self._away_per_ns *= bucket.per_s / self.bucket.per_s if self.bucket.per_s else 0.0
        self.bucket = bucket

    def level(self, now: int) -> float:
        """What may be used now; negative after more was used than foreseen."""
        return self._held + self._earned(now)

    def use(self, amount: float, now: int) -> None:
        """So much is used; negative: less than was thought."""
        self._advance(now)
        self._held -= amount
        self._recent = max(0.0, self._recent + amount)
        self._dearest = max(self._dearest, amount)

    def ask(self, amount: float, now: int) -> None:
        """Something would have cost so much, and there was too little for it."""
        self._advance(now)
        self._dearest = max(self._dearest, amount)

    def want(self, now: int) -> Want:
        """What to ask of the store now. It may be nothing; it changes nothing here."""
        passed = max(0, now - self._at)
        recent = self._recent * exp(-passed / _AHEAD_NS)
        dearest = self._dearest * exp(-passed / _DEAREST_NS)
        most = self.bucket.most
        likely = max(recent, _DEAREST * dearest, _FLOOR_SHARE * most)
        target = max(dearest, min(likely, _TARGET_SHARE * most))
        lacks = target - self.level(now)
        if -target <= lacks <= _MATTERS * target:
            lacks = 0.0  # up to twice of what should be held is kept: the pace may come back
        return Want(self.bucket, lacks, self._debt + self._earned(now))

    def grant(self, granted: Granted, now: int) -> None:
        """The store has answered."""
        self._advance(now)
        self._held += granted.amount
        self._debt = max(0.0, self._debt - granted.paid)

    def on_store(self, share: float, now: int) -> None:
        """The store answers (0), or is away and so much of the rate may be used here without it."""
        self._advance(now)
        self._away_per_ns = share * self.bucket.per_s / NS_PER_S

    def _earned(self, now: int) -> float:
        """What has flowed in here since the last look; never beyond what one may hold."""
        if not self._away_per_ns:
            return 0.0
        room = max(0.0, _TARGET_SHARE * self.bucket.most - self._held)
        return min(room, max(0, now - self._at) * self._away_per_ns)

    def _advance(self, now: int) -> None:
        earned, passed = self._earned(now), max(0, now - self._at)
        self._held += earned
        self._debt += earned
        self._recent *= exp(-passed / _AHEAD_NS)
        self._dearest *= exp(-passed / _DEAREST_NS)
        self._at = max(now, self._at)
