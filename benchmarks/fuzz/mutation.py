"""Inputs made of other inputs: bytes changed, cut, doubled, and put together."""

import random
from collections.abc import Sequence
from typing import Final

INPUT_BYTES_MAX: Final = 4_096
"""What is longer finds little more, and takes its time; the attack suite has what is large."""

_TELLING: Final = (0, 1, 0x0A, 0x0D, 0x1B, 0x20, 0x22, 0x2F, 0x5C, 0x7F, 0x80, 0xC0, 0xFF)
_NUMBERS: Final = (b"0", b"-1", b"1e999", b"NaN", b"4294967296", b"18446744073709551616", b"1" * 50)


class Mutator:
    """Makes inputs from those it has, all of them by the randomness it is given."""

    def __init__(self, inputs: Sequence[bytes], words: Sequence[bytes], rng: random.Random) -> None:
        self._inputs = list(inputs) or [b""]
        self._words = [*words, *_NUMBERS]
        self._rng = rng
        self._changes = (
            *(self._flip, self._flip, self._set, self._insert, self._word),
            *(self._word, self._cut, self._end, self._double, self._splice),
        )

    def next(self) -> bytes:
        """One that nobody has thought of."""
        rng = self._rng
        made = bytearray(rng.choice(self._inputs))
        for _ in range(1 + int(rng.expovariate(0.7))):
            rng.choice(self._changes)(made)
        return bytes(made[:INPUT_BYTES_MAX])

    def _flip(self, made: bytearray) -> None:
        if made:
            made[self._rng.randrange(len(made))] ^= 1 << self._rng.randrange(8)

    def _set(self, made: bytearray) -> None:
        if made:
            made[self._rng.randrange(len(made))] = self._rng.choice(_TELLING)

    def _insert(self, made: bytearray) -> None:
        at = self._rng.randint(0, len(made))
        made[at:at] = self._rng.randbytes(self._rng.randint(1, 4))

    def _word(self, made: bytearray) -> None:
        at = self._rng.randint(0, len(made))
        made[at:at] = self._rng.choice(self._words)

    def _cut(self, made: bytearray) -> None:
        start = self._rng.randint(0, len(made))
        del made[start : start + self._rng.randint(1, 16)]

    def _end(self, made: bytearray) -> None:
        del made[self._rng.randint(0, len(made)) :]

    def _double(self, made: bytearray) -> None:
        start = self._rng.randint(0, len(made))
        part = made[start : start + self._rng.randint(1, 32)]
        made[start:start] = part * self._rng.choice((1, 2, 30))

    def _splice(self, made: bytearray) -> None:
        other = self._rng.choice(self._inputs)
        start = self._rng.randint(0, len(other))
        made[self._rng.randint(0, len(made)) :] = other[start:]
