"""What is wrong with a fleet file, and where."""

from collections.abc import Sequence
from dataclasses import dataclass

KeyPath = tuple[str | int, ...]
"""Keys and list places from the top of the file down."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: its place in the file, the key's path and what was expected."""

    file: str
    line: int  # from 1
    column: int  # from 1
    path: KeyPath
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        return f"{where}: {dotted(self.path)}: {self.message}" if self.path else self.text_at(where)

    def text_at(self, where: str) -> str:
        """The message behind a place, for what has no key."""
        return f"{where}: {self.message}"


class FleetError(Exception):
    """A fleet file that cannot be used: all of its problems, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda one: (one.line, one.column)))
        super().__init__("\n".join(map(str, self.problems)))


def dotted(path: KeyPath) -> str:
    """The path as people write it: sites.cellar.endpoints[1]."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text
