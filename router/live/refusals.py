"""Attempts that were refused: which are recorded one by one, and which together.

Anybody who reaches a router may try what is not theirs as often as they like, and the audit log
shall neither grow by that nor have its older records pushed out. So each of a few is a record; of a
flood there is one a minute, which says who tried what how often. Strangers and those who are known
are told apart, so that no flood of strangers hides what somebody with a key tries.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

BURST: Final = 30
REFILL_S: Final = 60.0
"""A record each, of strangers and of the known: 1,440 a day."""

NAMED_MAX: Final = 8
"""In one record: the most frequent; the others are a number."""

TEXT_CHARS_MAX: Final = 100
"""Of what a refused caller says: it stays for as long as the log does."""

_KINDS_MAX: Final = 1_000
_STRANGERS: Final = frozenset({"unknown", "anybody"})


@dataclass(slots=True)
class Refusals:
    """The refused attempts of one kind of callers. Times are seconds of one monotonic clock."""

    now_s: float
    left: float = float(BURST)
    together: Counter[tuple[str, str]] = field(default_factory=Counter)  # by name and action
    others: int = 0  # of more names and actions than are told apart

    @property
    def waiting(self) -> int:
        """Attempts that no record tells of yet."""
        return self.together.total() + self.others

    def may_record(self, now_s: float) -> bool:
        """Whether an attempt has a record of its own; who gets a yes has taken it."""
        return not self.waiting and self._take(now_s)

    def count(self, name: str, action: str) -> None:
        """One more that has none."""
        key = (short(name), short(action))
        if key in self.together or len(self.together) < _KINDS_MAX:
            self.together[key] += 1
        else:
            self.others += 1

    def due(self, now_s: float, *, closes: bool = False) -> dict[str, object]:
        """What a record says of all that wait; nothing where none is due. Then none waits."""
        if not self.waiting or not (self._take(now_s) or closes):
            return {}
        total = self.waiting
        named = self.together.most_common(NAMED_MAX)
        attempts = [{"who": who, "action": action, "count": n} for (who, action), n in named]
        (most, at), _ = named[0] if named else (("several", "several"), 0)
        rest = total - sum(count for _, count in named)
        self.together.clear()
        self.others = 0
        said: dict[str, object] = {
            "reason": f"{total} refused attempts, the most by {most} at {at}",
            "unrecorded": total,
            "attempts": attempts,
        }
        return {**said, "others": rest} if rest else said

    def _take(self, now_s: float) -> bool:
        self.left = min(BURST, self.left + (now_s - self.now_s) / REFILL_S)
        self.now_s = now_s
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True


def is_stranger(role: str) -> bool:
    """Whether nothing is known of who has this role."""
    return role in _STRANGERS


def short(text: str) -> str:
    """Text of a length that a record of a refusal has room for."""
    return text if len(text) <= TEXT_CHARS_MAX else f"{text[:TEXT_CHARS_MAX]}..."
