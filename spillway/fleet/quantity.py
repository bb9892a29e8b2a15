"""Quantities with their unit in the value: 250ms, 64MiB, 2.49 USD/h.

Each kind is read from text and written as text; a number without a unit, or with another kind's
unit, is refused with an example of what is meant. Arithmetic is decimal, so that what is written
reads back as the same value.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

_NUMBER = re.compile(r"(?P<number>-?[0-9]{1,18}(?:\.[0-9]{1,24})?) ?(?P<unit>[A-Za-z].*)")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A kind of quantity: its units, each in terms of the smallest, and its bounds in that."""

    noun: str
    example: str
    units: Mapping[str, int]
    at_most: int
    spaced: bool = False  # whether a space stands before the unit when it is written

    def read(self, text: object) -> Decimal:
        """The value in the smallest unit. ValueError says what was expected."""
        match = _NUMBER.fullmatch(text) if isinstance(text, str) else None
        if match is None or match["unit"] not in self.units:
            raise ValueError(f"expected {self.noun} such as {self.example}")
        value = Decimal(match["number"]) * self.units[match["unit"]]
        if not 0 <= value <= self.at_most:
            least, most = self.write(0), self.write(self.at_most)
            raise ValueError(f"expected {self.noun} from {least} to {most}")
        return value

    def read_whole(self, text: object) -> int:
        """The same, of something that has no parts of its smallest unit."""
        value = self.read(text)
        if value != int(value):
            raise ValueError(f"expected {self.noun} of a whole number of {min_unit(self.units)}")
        return int(value)

    def write(self, value: float) -> str:
        """A value in the smallest unit, as text in the largest unit that keeps it whole."""
        exact = Decimal(repr(value))
        fitting = [name for name, size in self.units.items() if exact % size == 0]
        unit = max(fitting, key=self.units.__getitem__) if exact and fitting else self._plainest
        number = f"{exact / self.units[unit]:f}"
        if "." in number:
            number = number.rstrip("0").rstrip(".")
        return f"{number}{' ' if self.spaced else ''}{unit}"

    @property
    def _plainest(self) -> str:
        return min_unit(self.units)


def min_unit(units: Mapping[str, int]) -> str:
    """The smallest of them."""
    return min(units, key=units.__getitem__)


_S = 1_000_000_000
DURATION = Quantity(
    "a duration",
    "250ms, 2s or 30min",
    {
        "ns": 1,
        "us": 1_000,
        "ms": 1_000_000,
        "s": _S,
        "min": 60 * _S,
        "h": 3_600 * _S,
        "d": 86_400 * _S,
    },
    at_most=400 * 86_400 * _S,
)
"""In nanoseconds."""

SIZE = Quantity(
    "a size", "64MiB", {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}, at_most=1024**4
)
"""In bytes."""

USD_PER_HOUR = Quantity("a rate", "2.49 USD/h", {"USD/h": 1}, at_most=10**6, spaced=True)
USD_PER_MONTH = Quantity("a rate", "9000 USD/month", {"USD/month": 1}, at_most=10**9, spaced=True)
USD_PER_GIB = Quantity("a price", "0.08 USD/GiB", {"USD/GiB": 1}, at_most=10**6, spaced=True)
