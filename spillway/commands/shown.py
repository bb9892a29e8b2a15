"""Text of others, made fit to be shown: what would move a cursor or hide a line is spelt out.

Names of models, sessions and requests are whatever somebody called them, and a terminal obeys some
characters instead of drawing them.
"""

import re
from typing import Final

_CONTROLS: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
"""But line feed and tab: those of ASCII and of Latin-1, and what turns the direction of a line."""

_LINES: Final = re.compile(r"[\t\n\u2028\u2029]")


def lines_of(text: str) -> str:
    """Text of several lines, in which nothing is obeyed but their ends and tabs."""
    return _CONTROLS.sub(_spelt, text)


def line_of(text: str) -> str:
    """The same as one line, for a cell of a table or a sentence."""
    return _LINES.sub(_spelt, lines_of(text))


def as_json_text(text: str) -> str:
    """JSON as text, in which a terminal obeys nothing; the value is the same."""
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _spelt(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
