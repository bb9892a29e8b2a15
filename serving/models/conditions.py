"""What can be asked of the last tokens: sums of signs over the window.

A token is seen as FEATURES signs, +1 or -1. Slot 0 of the window is the last token, slot s the one
s places before; the slots behind the window hold the digits of the note.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from serving.models.cues import NOTE_SIGN, WINDOW
from serving.models.vocabulary import ASSISTANT

BITS = 9
"""Of a token id. A byte and a mark differ in the last; a mark's others count up from zero."""
DIGIT = BITS
SEPARATOR = BITS + 1
FEATURES = BITS + 2

DIGITS = tuple(b"0123456789")
SPACE = ord(" ")
SEPARATORS = {SPACE, ord("\n"), ASSISTANT}
"""What may stand between a number and the next. The model itself says a space."""

NOTE_WIDTH = 3
NOTE_FEATURES = (0, 1, 2, 3, DIGIT)
"""What is known of a note's digits: the bits that tell digits apart, and whether there are any."""


def features(token: int) -> tuple[int, ...]:
    """What can be asked of a token: its bits, is it a digit, does it separate numbers."""
    flags = (
        *(token >> bit & 1 for bit in range(BITS)),
        token in DIGITS,
        token in SEPARATORS,
    )
    return tuple(1 if flag else -1 for flag in flags)


@dataclass(frozen=True, slots=True)
class Linear:
    """A weighted sum of the window's features, by (slot, feature), and a constant."""

    weights: Mapping[tuple[int, int], float] = field(default_factory=dict)
    constant: float = 0

    def __add__(self, other: "Linear") -> "Linear":
        weights = dict(self.weights)
        for place, weight in other.weights.items():
            weights[place] = weights.get(place, 0) + weight
        return Linear(weights, self.constant + other.constant)

    def __mul__(self, factor: float) -> "Linear":
        scaled = {place: weight * factor for place, weight in self.weights.items()}
        return Linear(scaled, self.constant * factor)


ONE = Linear(constant=1)
ALWAYS = Linear()
"""Conditions are sums that are 0 where they hold and -2 or less where not; added, they are all."""


def is_token(slot: int, token: int, ignored_bits: int = 0) -> Linear:
    """The slot holds this token, give or take the ignored bits."""
    asked = {
        (slot, bit): float(value)
        for bit, value in enumerate(features(token)[:BITS])
        if not ignored_bits >> bit & 1
    }
    return Linear(asked, -len(asked))


def is_digit(slot: int) -> Linear:
    """The slot holds a digit."""
    return Linear({(slot, DIGIT): 1}, -1)


def is_no_digit(slot: int) -> Linear:
    """The slot holds anything but a digit."""
    return Linear({(slot, DIGIT): -1}, -1)


def is_separator(slot: int) -> Linear:
    """The slot holds what comes between a number and the next."""
    return Linear({(slot, SEPARATOR): 1}, -1)


def difference(slot: int, token: int) -> Linear:
    """In how many bits the slot differs from the token."""
    return is_token(slot, token) * -0.5


def value_at(linear: Linear, window: Sequence[int]) -> float:
    """The sum for a window of tokens, the last token first."""
    return linear.constant + sum(
        weight * features(window[slot])[feature]
        for (slot, feature), weight in linear.weights.items()
    )


def is_note() -> Linear:
    """The last tokens are a note: its sign and three digits."""
    digits = ALWAYS
    for slot in range(NOTE_WIDTH):
        digits += is_digit(slot)
    return digits + is_token(NOTE_WIDTH, NOTE_SIGN)


def noted(place: int, digit: int) -> Linear:
    """There is a note, and it has this digit at this place, 0 being its first."""
    value = features(digit)
    asked = {(WINDOW + place, feature): float(value[feature]) for feature in NOTE_FEATURES}
    return Linear(asked, -len(asked))
