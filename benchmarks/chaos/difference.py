"""What is wrong with the tokens that a client was given, beside those it should have got.

Where the two part, the next `_ANCHOR` tokens that were given are looked for in what was wanted:
found further on, those between were lost; found before, they came again; not found, the token is
wrong. With numbers that are counted on, so many tokens stand at one place only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_ANCHOR = 12  # tokens: three numbers


@dataclass(frozen=True, slots=True)
class Difference:
    """In tokens; all 0 for an answer that is right as far as it goes."""

    lost: int = 0
    repeated: int = 0
    wrong: int = 0

    @property
    def is_none(self) -> bool:
        """Whether each token that was given was the one wanted, once and in order."""
        return not (self.lost or self.repeated or self.wrong)


def difference(given: Sequence[int], wanted: Sequence[int], *, complete: bool) -> Difference:
    """What is wrong; what an answer that is not `complete` lacks at its end is not lost.

    An honest error told the client that the rest does not come; a status of OK says that it is all.
    """
    lost = repeated = wrong = 0
    got, want = bytes_of(given), bytes_of(wanted)
    at = place = 0  # in `got`, in `want`
    while at < len(got):
        if place < len(want) and got[at] == want[place]:
            at, place = at + 1, place + 1
            continue
        anchor = got[at : at + _ANCHOR]
        ahead = want.find(anchor, place)
        behind = want.rfind(anchor, 0, place + len(anchor) - 1)
        if ahead >= 0:
            lost += ahead - place
            place = ahead
        elif behind >= 0:
            repeated += place - behind
            place = behind
        else:
            wrong += 1
            at, place = at + 1, place + 1
    if complete:
        lost += max(0, len(want) - place)
    return Difference(lost, repeated, wrong)


def bytes_of(tokens: Sequence[int]) -> bytes:
    """Tokens of a byte-level vocabulary as bytes; its marks, which no answer here has, as NUL."""
    return bytes(token if token < 256 else 0 for token in tokens)
