"""The pieces of a document that a reader runs."""

import re
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).resolve().parents[2] / "docs"
_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """A fenced piece: `sh` and `python` are run, `console` shows what is typed elsewhere."""

    language: str
    text: str
    line: int


def blocks(page):
    """Those of a page of docs/, in their order."""
    text = (DOCS / page).read_text()
    return [
        Block(found.group(1), found.group(2), text.count("\n", 0, found.start()) + 1)
        for found in _FENCED.finditer(text)
    ]
