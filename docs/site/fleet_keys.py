"""Every key of the fleet file: what it takes is asked of its parser, what it means of fleet.md."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from spillway.fleet.reference import Section, sections

_HEADING: Final = re.compile(r"## .*")
_NAME: Final = re.compile(r"`([a-z_]+)`")
_LINK: Final = re.compile(r"\]\(([a-z])")
_ROW: Final = re.compile(r"\| (`[^|]*) \| ([^|]*) \| (.*) \|")


class Told(NamedTuple):
    """A row of docs/fleet.md: the cell of what a key takes, and what it means."""

    takes: str
    meaning: str


def told(text: str) -> dict[str, dict[str, Told]]:
    """What docs/fleet.md says: for each table, by where it stands, each key's row.

    A table below `## router` that a line beginning with `tls` is before is that of `router.tls`.
    """
    found: dict[str, dict[str, Told]] = {}
    top, before, place = "", "", ""
    for line in text.splitlines():
        if _HEADING.fullmatch(line):
            name = _NAME.search(line)
            top, before = name.group(1) if name else "", ""
        elif line.startswith("| key |"):
            name = _NAME.match(before)
            place = f"{top}.{name.group(1)}" if name else top
            found[place] = {}
        elif row := _ROW.fullmatch(line):
            if place and before.startswith("|"):
                keys = _NAME.findall(row.group(1))
                for key, takes in zip(keys, _each(row.group(2), len(keys)), strict=True):
                    found[place][key] = Told(takes, row.group(3))
        elif line and not line.startswith("|"):
            place = ""
        before = line or before
    return found


def _each(takes: str, keys: int) -> list[str]:
    """The cell of each key of a row: `count; 8, 9` is `count; 8` and `count; 9`."""
    parts = takes.split(", ")
    if len(parts) != keys or keys == 1:
        return [takes] * keys
    kind, found = "", []
    for part in parts:
        own, _, default = part.rpartition("; ")
        kind = own or kind
        found.append(f"{kind}; {default}" if kind else default)
    return found


def place_of(section: Section) -> str:
    """Where docs/fleet.md has a section: by the first and the last of the names in its path."""
    names = section.path.replace(".NAME", "").replace("[]", "").split(".")
    return names[0] if len(names) == 1 else f"{names[0]}.{names[-1]}"


def page(text: str) -> str:
    """The reference, with the meanings that `text`, which is docs/fleet.md, has."""
    return "\n".join(_lines(told(text)))


def _lines(meanings: dict[str, dict[str, Told]]) -> Iterator[str]:
    yield "# Every key of the fleet file\n"
    yield (
        "What each takes and its default are asked of the parser; [the fleet file](../fleet.md)"
        " tells how they belong together. A NAME in a path is one that the file gives.\n"
    )
    for one in sections():
        known = meanings.get(place_of(one), {})
        yield f"## {f'`{one.path}`' if one.path else 'At the top'}\n"
        yield "| key | takes | default | meaning |\n|---|---|---|---|"
        for key in one.keys:
            meaning = known[key.name].meaning if key.name in known else ""
            default = key.default if key.default in {"", "required"} else f"`{key.default}`"
            meaning = _LINK.sub(r"](../\1", meaning.replace("](#", "](fleet.md#"))
            yield f"| `{key.name}` | {key.takes} | {default} | {meaning} |"
        yield ""
