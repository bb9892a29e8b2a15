"""Changes a fleet file as a person would: what is not changed stays as it is, comments too.

Written are files that read back as what was meant, at once or not at all, and only over what was
read: whoever else has changed the file meanwhile loses nothing.
"""

import difflib
import fcntl
import io
import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from spillway.fleet.reading import read
from spillway.fleet.values import FleetFile
from wire.durable import replace_whole

LINE_WIDTH = 4096  # no line is folded that was not
INDENTS = {"mapping": 2, "sequence": 4, "offset": 2}


class EditError(Exception):
    """The file cannot be changed; the message is one line."""


class ChangedError(EditError):
    """Somebody else has changed the file since it was read."""


class FleetText:
    """The text of a fleet file, as it was read, and a site more or less."""

    def __init__(self, path: Path) -> None:
        """Reads it. Raises EditError, and FleetError where it has problems."""
        self.path = path.resolve()
        try:
            self._before = self.path.read_bytes()
        except OSError as error:
            raise EditError(f"{path}: cannot be read: {error.strerror or error}") from error
        self.file = read(self._before, str(path))

    @property
    def before(self) -> str:
        """The text as it was read."""
        return self._before.decode("utf-8-sig")

    def with_site(self, name: str, site: Mapping[str, Any]) -> str:
        """The text with a site more, behind the others. Raises EditError."""
        yaml = YAML()
        yaml.preserve_quotes = True
        yaml.width = LINE_WIDTH
        yaml.indent(**(_indents(self.before) or INDENTS))
        try:
            document = yaml.load(self.before)
            sites = document["sites"]
            _append(sites, name, _plain(site))
            out = io.StringIO()
            yaml.dump(document, out)
        except (YAMLError, KeyError, TypeError) as error:
            raise EditError(
                f"{self.path}: cannot be changed: {' '.join(str(error).split())}"
            ) from error
        return out.getvalue()

    def with_only(self, name: str, site: Mapping[str, Any]) -> str:
        """The text with these keys for a site that it has, in the place of those it has."""
        yaml = YAML()
        try:
            document = yaml.load(self.before)
            document["sites"][name] = _plain(site)
            out = io.StringIO()
            yaml.dump(document, out)
        except (YAMLError, KeyError, TypeError) as error:
            raise EditError(f"{self.path}: cannot be changed: {_line(error)}") from error
        return out.getvalue()

    def read(self, text: str) -> FleetFile:
        """What a changed text says. Raises FleetError."""
        return read(text, str(self.path))

    def difference(self, text: str) -> str:
        """From what was read to this text, as `diff -u` shows it; empty where there is none."""
        lines = difflib.unified_diff(
            self.before.splitlines(keepends=True),
            text.splitlines(keepends=True),
            str(self.path),
            str(self.path),
        )
        return "".join(lines)

    def write(self, text: str) -> None:
        """Put this text in its place, whole.

        Raises ChangedError where the file is not as it was read, and EditError.
        """
        try:
            with self.path.open("rb") as locked:
                fcntl.flock(locked, fcntl.LOCK_EX)  # between the look and the replacement
                there, ours = self.path.stat(), os.fstat(locked.fileno())
                if there.st_ino != ours.st_ino or locked.read() != self._before:
                    raise ChangedError(f"{self.path} was changed meanwhile: run this again")
                replace_whole(self.path, text.encode(), there.st_mode & 0o7777)
        except OSError as error:
            raise EditError(f"{self.path}: cannot be written: {error.strerror or error}") from error


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _append(sites: CommentedMap, name: str, site: Any) -> None:
    """Behind the last site, and before the comment on what follows the sites.

    A comment between the last site and the next section hangs on the last value of that site.
    """
    if sites and not sites.fa.flow_style():
        last = sites[next(reversed(sites))]
        comment = _take_end_comment(last)
        sites[name] = site
        if comment is not None:
            _put_end_comment(site, comment)
    else:
        sites[name] = site


def _take_end_comment(node: Any) -> Any:
    """The comment behind the last value below a node, taken off; None where there is none.

    Lines that are empty stay there as well.
    """
    holder, key = _last(node)
    if holder is None:
        return None
    items = holder.ca.items.get(key)
    place = 2 if isinstance(holder, CommentedMap) else 0
    token = items[place] if items and len(items) > place else None
    if token is None:
        return None
    own, newline, rest = token.value.partition("\n")
    if rest.strip("\n"):
        token.value = own + newline
    elif not rest:
        return None
    return type(token)("\n" + rest, token.start_mark, None)


def _put_end_comment(node: Any, token: Any) -> None:
    holder, key = _last(node)
    if isinstance(holder, CommentedMap):
        holder.ca.items[key] = [None, None, token, None]
    elif holder is not None:
        holder.ca.items[key] = [token, None]


def _last(node: Any) -> tuple[Any, Any]:
    """The innermost collection in block style that ends a node, and the key of its last value."""
    holder, key = None, None
    while hasattr(node, "fa") and node and not node.fa.flow_style():
        holder = node
        key = next(reversed(node)) if isinstance(node, CommentedMap) else len(node) - 1
        node = node[key]
    return holder, key


def _plain(value: Any) -> Any:
    """Mappings in block style, short lists of text in flow style."""
    if isinstance(value, Mapping):
        found = CommentedMap()
        for key, inner in value.items():
            found[key] = _plain(inner)
        return found
    if isinstance(value, list | tuple):
        from ruamel.yaml.comments import CommentedSeq  # noqa: PLC0415 - used here alone

        listed = CommentedSeq([_plain(inner) for inner in value])
        if all(isinstance(inner, str) for inner in value):
            listed.fa.set_flow_style()
        return listed
    return value


def _indents(text: str) -> dict[str, int]:
    """How a file indents, by its first site and its first list that is indented."""
    lines = [
        line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")
    ]
    mapping, sequence, offset = 2, 4, 2
    for line, following in itertools.pairwise(lines):
        depth, below = _depth(line), _depth(following)
        if line.rstrip() == "sites:" and below:
            mapping = below
        if line.rstrip().endswith(":") and following.lstrip().startswith("- "):
            offset = below - depth
            sequence = offset + 2
            break
    return {"mapping": mapping, "sequence": max(sequence, offset + 2), "offset": offset}


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
