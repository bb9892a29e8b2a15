"""YAML as plain values, with the place of each.

The YAML understood here is smaller than PyYAML's: text, numbers, `true`, `false` and `null` are
told apart as in YAML 1.2 (so that `no` is text, and 22:22 is no number); tags are refused, and so
is a key that comes twice. Anchors and aliases work; what they expand to is bounded.
"""

import re
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from spillway.fleet.problem import FleetError, KeyPath, Problem

FILE_BYTES_MAX = 256 * 1024  # a thousand sites
DEPTH_MAX = 32  # the deepest key of a fleet file has six levels
VALUES_MAX = 50_000  # what aliases can make of a small file

_STR, _NULL = "tag:yaml.org,2002:str", "tag:yaml.org,2002:null"
_BOOL, _INT, _FLOAT = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_COLLECTIONS = frozenset({"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})


@dataclass(frozen=True, slots=True)
class Source:
    """A YAML document: its value, and where each key and value of it stands."""

    file: str
    value: Any
    keys: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    values: dict[KeyPath, tuple[int, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)  # of keys and values that were left out

    def problem(self, path: KeyPath, message: str, *, at_key: bool = False) -> Problem:
        """A problem at this path, or at the nearest place above it that the file has."""
        line, column = self._place(path, at_key=at_key)
        return Problem(self.file, line, column, path, message)

    def _place(self, path: KeyPath, *, at_key: bool) -> tuple[int, int]:
        if at_key and path in self.keys:
            return self.keys[path]
        while path not in self.values and path:
            path = path[:-1]
        value = self.values.get(path, (1, 1))
        key = self.keys.get(path, value)
        # The key of a mapping says more than its first entry, on the next line, would.
        return value if value[0] == key[0] else key


def parse(content: bytes, file: str) -> Source:
    """The document in `content`.

    Raises:
        FleetError: it is no YAML, or too large. Lesser problems are in the answer.
    """
    if len(content) > FILE_BYTES_MAX:
        limit = f"expected a file of at most {FILE_BYTES_MAX // 1024} KiB"
        raise FleetError([Problem(file, 1, 1, (), limit)])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FleetError([Problem(file, line, 1, (), "expected UTF-8 text")]) from error
    reading = _Reading(file)
    value = reading.value(_compose(text, file), ())
    return Source(file, value, reading.keys, reading.values, reading.problems)


class _Loader(yaml.SafeLoader):
    """PyYAML's parser with YAML 1.2's idea of plain scalars and a bound on the depth."""

    yaml_implicit_resolvers: dict[str | None, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012
    depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        self.depth += 1
        if self.depth > DEPTH_MAX:
            here = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(
                problem=f"expected at most {DEPTH_MAX} levels",
                problem_mark=here,
            )
        node: Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """Quotes text that a parser of YAML 1.1, or this one, would take for something else."""


for _tag, _pattern, _first in (
    (_NULL, r"(?:null|~|)", ["n", "~", ""]),
    (_BOOL, r"(?:true|false)", ["t", "f"]),
    (_INT, r"[-+]?[0-9]{1,18}", list("-+0123456789")),
    (
        _FLOAT,
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?",
        list("-+.0123456789"),
    ),
    (_FLOAT, r"[-+]?\.(?:inf|nan)", list("-+.")),
):
    _Loader.add_implicit_resolver(_tag, re.compile(rf"^{_pattern}$"), _first)
    _Dumper.add_implicit_resolver(_tag, re.compile(rf"^{_pattern}$"), _first)


def dump(value: Any) -> str:
    """The YAML text that `parse` reads as this value of mappings, lists and scalars."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True)
    return text


def _compose(text: str, file: str) -> Node:
    loader = None
    try:
        loader = _Loader(text)
        node: Node | None = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise FleetError([Problem(file, line, column, (), f"not YAML: {error.problem}")]) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise FleetError([Problem(file, line, 1, (), f"not YAML: {error.reason}")]) from error
    except (ValueError, OverflowError) as error:  # such as the escape "\UFFFFFFFF"
        raise FleetError([Problem(file, 1, 1, (), f"not YAML: {error}")]) from error
    finally:
        if loader is not None:
            loader.dispose()
    if node is None:
        raise FleetError([Problem(file, 1, 1, (), "expected a fleet, found nothing")])
    return node


class _Reading:
    """One walk over the nodes of a document."""

    def __init__(self, file: str) -> None:
        self.keys: dict[KeyPath, tuple[int, int]] = {}
        self.values: dict[KeyPath, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self._file = file
        self._count = 0

    def value(self, node: Node, path: KeyPath) -> Any:
        self._count += 1
        self.values[path] = _place(node)
        if self._count > VALUES_MAX or len(path) > DEPTH_MAX:
            raise FleetError([self._problem(node, path[:1], "aliases expand too far")])
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if node.tag not in _COLLECTIONS:
            self.problems.append(self._problem(node, path, f"expected no tag, found {node.tag}"))
            return None
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        return [self.value(item, (*path, place)) for place, item in enumerate(node.value)]

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, ScalarNode) else None
            if not isinstance(key, str) or not key:
                self.problems.append(self._problem(key_node, path, "expected a name as the key"))
                continue
            inner = (*path, key)
            if key in found:
                first = self.keys[inner][0]
                self.problems.append(
                    self._problem(key_node, inner, f"comes twice; it is also on line {first}")
                )
                continue
            self.keys[inner] = _place(key_node)
            found[key] = self.value(value_node, inner)
        return found

    def _scalar(self, node: ScalarNode, path: KeyPath) -> Any:
        text: str = node.value
        if node.tag == _STR:
            return text
        if node.tag == _NULL:
            return None
        if node.tag == _BOOL and text in {"true", "false"}:
            return text == "true"
        try:
            if node.tag == _INT:
                return int(text)
            if node.tag == _FLOAT:
                return float(text.replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:  # an explicit tag on a text that is no number
            pass
        self.problems.append(self._problem(node, path, f"expected no tag, found {node.tag}"))
        return None

    def _problem(self, node: Node, path: KeyPath, message: str) -> Problem:
        line, column = _place(node)
        return Problem(self._file, line, column, path, message)


def _place(node: Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
