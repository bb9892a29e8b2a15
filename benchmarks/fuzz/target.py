"""What is fuzzed: a parser behind a function of bytes, and inputs that it takes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CORPUS: Final = Path(__file__).parent / "corpus"
"""Inputs that are kept: a folder for each target, in which each file is one that found something,
or reaches what chance does not."""


@dataclass(frozen=True, slots=True)
class Target:
    """One parser. `run` raises for a find alone; `words` are what inputs are likely to have."""

    name: str
    run: Callable[[bytes], object]
    seeds: Sequence[bytes]
    words: Sequence[bytes] = ()

    def kept(self) -> list[bytes]:
        """The seeds, and what its folder has, in one order everywhere."""
        folder = CORPUS / self.name
        files = sorted(folder.iterdir()) if folder.is_dir() else []
        return [*self.seeds, *(path.read_bytes() for path in files)]
