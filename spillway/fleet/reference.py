"""The keys of a fleet file as its parser has them: what each takes, and its default.

What a key takes is found by trying: the parser itself is asked for values of each kind, so that
nothing is told of a key that its parser does not do.
"""

import typing
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from router.policy.scale import Scale
from spillway.fleet.schema import FileSection, ScaleSection
from spillway.fleet.section import bare, key_of, plain, values_of

REQUIRED: Final = "required"
LEFT_OUT: Final = ""

_KINDS: Final[tuple[tuple[str, object, object], ...]] = (
    # what it is called, what it accepts, what it refuses
    ("duration", "5min", "word"),
    ("size", "64MiB", "word"),
    ("USD/h", "2.49 USD/h", "word"),
    ("USD/month", "9000 USD/month", "word"),
    ("USD/GiB", "0.08 USD/GiB", "word"),
    ("time of the day", "22:30", "10.0.0.5:7070"),
    ("time, UTC", "2027-03-31T18:00:00Z", "word"),
    ("`true` or `false`", True, 1),
    ("whole number", -1, 0.5),
    ("count", 1, 0.5),
    ("share", 0.5, 2),
    ("`host:port`", "10.0.0.5:7070", "word"),
    ("URL", "http://10.0.0.5:8265", "word"),
    ("mapping", {"key": 1}, "word"),
    ("host", "[::1]", "a word"),
    ("name", "word", "a/b"),
    ("model's name", "a/b", "a word"),
    ("text", "a word", 1),
)


@dataclass(frozen=True, slots=True)
class Key:
    """A key: what it takes, and its default as a file would have it."""

    name: str
    takes: str
    default: str  # REQUIRED, or LEFT_OUT where there is nothing instead


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping of a fleet file, by its path: `sites.NAME.ray`, with NAME for what is named."""

    path: str
    keys: tuple[Key, ...]


def sections(model: type[BaseModel] = FileSection, path: str = "") -> Iterator[Section]:
    """All of a fleet file, in the order of their keys, each before what is in it."""
    yield Section(path, tuple(_key(model, name, one) for name, one in model.model_fields.items()))
    for name, one in model.model_fields.items():
        inner, between = _section_in(one.annotation)
        if inner is not None:
            yield from sections(inner, f"{path}.{name}{between}".removeprefix("."))


def _key(model: type[BaseModel], name: str, one: FieldInfo) -> Key:
    inner, between = _section_in(one.annotation)
    takes = {"": "section", ".NAME": "mapping of sections", "[]": "list of sections"}[between]
    if inner is None:
        takes = _kind(one)
    return Key(name, takes, _default(model, name, one))


def _kind(one: FieldInfo) -> str:
    found: Any = one.annotation
    if one.metadata:
        found = Annotated[(found, *one.metadata)]
    held = bare(found)
    if typing.get_origin(held) is Literal:
        return " or ".join(f"`{choice}`" for choice in typing.get_args(held) if choice)
    listed = typing.get_origin(held) is list
    if listed and typing.get_origin(bare(typing.get_args(held)[0])) is Literal:
        choices = typing.get_args(bare(typing.get_args(held)[0]))
        return "list of " + ", ".join(f"`{choice}`" for choice in choices)
    adapter: TypeAdapter[Any] = TypeAdapter(found)
    for kind, good, bad in _KINDS:
        taken = _taken(adapter, [good] if listed else good)
        if taken is not None and _taken(adapter, [bad] if listed else bad) is None:
            first = taken[0] if listed else taken
            name = "path" if isinstance(first, Path) else kind
            return f"list of {name}" if listed else name
    raise AssertionError(f"a kind of value that has no name here: {found}")


def _taken(adapter: TypeAdapter[Any], value: object) -> Any:
    try:
        return adapter.validate_python(value, strict=True)
    except ValidationError:
        return None


def _default(model: type[BaseModel], name: str, one: FieldInfo) -> str:
    if one.is_required():
        return REQUIRED
    values = Scale if model is ScaleSection else values_of(model)
    if values is None:
        default = one.get_default(call_default_factory=True)
        return _shown("" if isinstance(default, BaseModel) else default)
    for field in fields(values):
        if key_of(field.name) == name and field.default is not MISSING:
            return _shown(plain(field.name, field.default) if field.default else field.default)
    return LEFT_OUT


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value) if value else LEFT_OUT


def _section_in(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The section that a key holds, and what stands between the two in a path."""
    held = bare(annotation)
    between = {dict: ".NAME", list: "[]"}.get(typing.get_origin(held), "")
    inner = bare(typing.get_args(held)[-1]) if between else held
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        return inner, between
    return None, ""
