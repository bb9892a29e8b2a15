"""The model's behaviour as rules over the window, each of which becomes one neuron.

A rule fires when its condition holds, and then adds to the votes for some tokens, with the strength
of its level: a higher level outvotes all lower ones.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from serving.models.conditions import (
    ALWAYS,
    DIGITS,
    NOTE_WIDTH,
    ONE,
    SPACE,
    Linear,
    difference,
    is_digit,
    is_no_digit,
    is_separator,
    is_token,
    noted,
)
from serving.models.cues import CASE_BIT, NOTE_ASKED, WINDOW, Cue, cues
from serving.models.passages import HELP
from serving.models.vocabulary import ASSISTANT, END

DIGITS_MAX = 4
"""The widest number that is counted on from."""


class Level(IntEnum):
    """Who outvotes whom, the last all others."""

    DEFAULT = 0
    FALLBACK = 1
    COUNT = 2
    MISMATCH = 3
    OVERRIDE = 4
    RECITE = 5


@dataclass(frozen=True, slots=True)
class Rule:
    """When `when` is 0, vote: `by` times the votes, with the level's strength."""

    when: Linear
    votes: Mapping[int, int]
    level: Level
    by: Linear = ONE


def rules() -> Iterator[Rule]:
    """All that the model knows."""
    yield Rule(ALWAYS, {SPACE: 1}, Level.DEFAULT)
    yield from _fall_back()
    for cue in cues():
        yield _recite(cue)
    for width in range(1, DIGITS_MAX + 1):
        yield from _count(width)
    yield from _stop()
    yield from _recall()


def _fall_back() -> Iterator[Rule]:
    """What to say where a number would follow another, but there is none, or too wide a one."""
    too_wide = ALWAYS
    for slot in range(1, DIGITS_MAX + 2):
        too_wide += is_digit(slot)
    for separator, says in ((SPACE, DIGITS[0]), (ASSISTANT, HELP.encode()[0])):
        for before in (is_no_digit(1), too_wide):
            yield Rule(is_token(0, separator) + before, {says: 1}, Level.FALLBACK)


def _recite(cue: Cue) -> Rule:
    when = ALWAYS
    for place, token in enumerate(cue.heard):
        slot = len(cue.heard) - 1 - place
        when += is_token(slot, token, ignored_bits=CASE_BIT if place < cue.folded else 0)
    return Rule(when, {cue.says: 1}, Level.OVERRIDE if cue.opens else Level.RECITE)


def _count(width: int) -> Iterator[Rule]:
    """The number after one of this width, of which some digits may have been said.

    The default says the space after it.
    """
    for said in range(width):
        yield from _next_digit(width, said)
        for place in range(said):
            yield from _not_begun(width, said, place)
    if width < DIGITS_MAX:
        yield from _widen(width)


def _parted(width: int, said: int) -> Linear:
    """A number of this width, a separator, and so many digits, which end the window."""
    before = _slot(width, said, -1)
    when = is_separator(said) + is_no_digit(before)
    for slot in (*range(said), *range(said + 1, before)):
        when += is_digit(slot)
    return when


def _slot(width: int, said: int, place: int) -> int:
    """Where the number's digit is, place 0 being its first."""
    return said + width - place


def _nines(width: int, said: int, first: int) -> Linear:
    """The number's digits from place `first` on are all 9: a one carries into the digit before."""
    nines = ALWAYS
    for place in range(first, width):
        nines += is_token(_slot(width, said, place), DIGITS[9])
    return nines


def _next_digit(width: int, said: int) -> Iterator[Rule]:
    """The digit to say is the one above it, or one more if a one carries into it."""
    above = _slot(width, said, said)
    carried = _nines(width, said, said + 1)
    for digit in range(10):
        when = _parted(width, said) + is_token(above, DIGITS[digit])
        yield Rule(when, {DIGITS[digit]: 1}, Level.COUNT)
        more = {DIGITS[(digit + 1) % 10]: 1, DIGITS[digit]: -1}
        yield Rule(when + carried, more, Level.COUNT)


def _not_begun(width: int, said: int, place: int) -> Iterator[Rule]:
    """The digits after the separator do not begin the next number: they are a number themselves."""
    spoken = said - 1 - place
    carried = _nines(width, said, place + 1)
    for digit in range(10):
        when = _parted(width, said) + is_token(_slot(width, said, place), DIGITS[digit])
        same = difference(spoken, DIGITS[digit])
        yield Rule(when, {SPACE: 1}, Level.MISMATCH, by=same)
        # A nine that overflows the number has no right digit here: _widen knows better.
        wrap = place == 0 and digit == 9
        more = Linear(constant=1) if wrap else difference(spoken, DIGITS[(digit + 1) % 10])
        yield Rule(when + carried, {SPACE: 1}, Level.MISMATCH, by=more + same * -1)


def _widen(width: int) -> Iterator[Rule]:
    """After all nines comes a one and as many noughts."""
    for said in range(width + 1):
        when = _parted(width, said) + _nines(width, said, 0)
        for slot in range(said):
            when += is_token(slot, DIGITS[1] if slot == said - 1 else DIGITS[0])
        yield Rule(when, {DIGITS[0] if said else DIGITS[1]: 1}, Level.OVERRIDE)


def _stop() -> Iterator[Rule]:
    """The last number ends the answer, with its separator or without."""
    for after in (0, 1):
        when = is_separator(0) if after else ALWAYS
        for slot in range(after, after + DIGITS_MAX):
            when += is_token(slot, DIGITS[9])
        yield Rule(when + is_no_digit(after + DIGITS_MAX), {END: 1}, Level.OVERRIDE)


def _recall() -> Iterator[Rule]:
    """Where the note is asked for, its digits are said, one after the other."""
    for said in range(NOTE_WIDTH):
        when = is_separator(said)
        for slot in range(said):
            when += is_digit(slot)
        for slot, letter in enumerate(reversed(NOTE_ASKED), said + 1):
            when += is_token(slot, letter, ignored_bits=CASE_BIT)
        for digit in DIGITS:
            yield Rule(when + noted(said, digit), {digit: 1}, Level.OVERRIDE)


assert _slot(DIGITS_MAX, DIGITS_MAX, -1) < WINDOW  # noqa: S101
