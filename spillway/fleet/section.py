"""A section of the fleet file made from the dataclass it sets.

The key is the field's name without its unit, and the unit is in the value: `session_age_max_ns` is
set by `session_age_max: 30min`. So a bound that is added to the core or to the router can be set
in the fleet file, with the default and the reason that stand beside the field.
"""

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, create_model
from pydantic import Field as Bounds

from spillway.fleet.kinds import Address, FilePath, ModelName, Share, UsdPerHour, UsdPerMonth
from spillway.fleet.quantity import DURATION, SIZE, USD_PER_HOUR, USD_PER_MONTH

T = TypeVar("T")
NS_PER_S = 1_000_000_000
_UNIONS = (types.UnionType, typing.Union)
LIST_LENGTH_MAX = 1_000
STRICT = ConfigDict(strict=True, extra="forbid", frozen=True)
_VALUES: dict[type[BaseModel], type[Any]] = {}


def section(values: type[Any], *, without: tuple[str, ...] = ()) -> type[BaseModel]:
    """The pydantic model of the section that sets a dataclass's fields, but those in `without`.

    Keys of fields without a default are required; the others are left out where they are not set.
    """
    keys: dict[str, Any] = {}
    for one, kind in _fields(values, without):
        required = one.default is MISSING and one.default_factory is MISSING
        keys[key_of(one.name)] = (_annotation(one, kind), ... if required else None)
    name = f"{values.__name__}Section"
    made: type[BaseModel] = create_model(name, __config__=STRICT, __doc__=values.__doc__, **keys)
    _VALUES[made] = values
    return made


def values_of(model: type[BaseModel]) -> type[Any] | None:
    """The dataclass whose fields a section sets; None for a section that was written by hand."""
    return _VALUES.get(model)


def built(values: type[T], read: BaseModel | None, **further: Any) -> T:
    """The dataclass that a section sets, its defaults for what the section leaves out."""
    found: dict[str, Any] = dict(further)
    for one, kind in _fields(values, tuple(further)):
        key = key_of(one.name)
        if read is None or key not in read.model_fields_set:
            continue
        value = getattr(read, key)
        nested = isinstance(kind, type) and is_dataclass(kind)
        found[one.name] = built(kind, value) if nested else value
    return values(**found)


def written(value: Any, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The section that sets `value`, as plain values; what has its default is left out."""
    found: dict[str, Any] = {}
    for one, kind in _fields(type(value), without):
        content = getattr(value, one.name)
        if is_dataclass(kind):
            inner = written(content)
            if inner:
                found[key_of(one.name)] = inner
        elif content != one.default:
            found[key_of(one.name)] = plain(one.name, content)
    return found


def key_of(field: str) -> str:
    """The key that sets a field: its name without the unit of time."""
    parts = field.split("_")
    if parts[-1] == "s":
        parts.pop()
    for period, adverb in (("hour", "hourly"), ("month", "monthly")):
        if parts[-3:] == ["usd", "per", period]:
            parts[-3:] = [adverb]
    return "_".join(part for part in parts if part != "ns")


def _fields(values: type[Any], without: tuple[str, ...]) -> list[tuple[Field[Any], Any]]:
    kinds = typing.get_type_hints(values)
    return [(one, kinds[one.name]) for one in fields(values) if one.name not in without]


def _annotation(one: Field[Any], kind: Any) -> Any:
    """What the key of a field takes, by the field's type and the unit in its name."""
    if is_dataclass(kind) and isinstance(kind, type):
        return section(kind)
    if typing.get_origin(kind) in _UNIONS:
        return _annotation(one, typing.get_args(kind)[0]) | None
    if typing.get_origin(kind) is tuple:
        listed = types.GenericAlias(list, typing.get_args(kind)[:1])
        return Annotated[listed, Bounds(max_length=LIST_LENGTH_MAX), AfterValidator(tuple)]
    parts = one.name.split("_")
    if "ns" in parts:
        return Annotated[int, BeforeValidator(_duration(whole=True, zero=one.default == 0))]
    if parts[-1] == "s":
        return Annotated[float, BeforeValidator(_duration(whole=False, zero=False))]
    if "bytes" in parts:
        return Annotated[int, BeforeValidator(SIZE.read_whole), Bounds(ge=1)]
    if "listen" in parts:
        return Address
    if one.name == "stand_in":
        return ModelName
    if "usd" in parts:
        return UsdPerMonth if parts[-1] == "month" else UsdPerHour
    return _by_type(kind, parts[-1])


def _by_type(kind: Any, last: str) -> Any:
    """What the key of a field without a unit takes, by its type and the last part of its name."""
    if last == "ceiling":
        return Annotated[int, Bounds(ge=-(1 << 31), lt=1 << 31)]
    by_type = {int: Annotated[int, Bounds(ge=1)], float: Share, Path: FilePath}
    return by_type.get(kind, kind)


def _duration(*, whole: bool, zero: bool) -> Callable[[object], float]:
    def read(text: object) -> float:
        ns = DURATION.read_whole(text)
        if not ns and not zero:
            raise ValueError("expected a duration above zero")
        return ns if whole else ns / NS_PER_S

    return read


def plain(name: str, content: Any) -> Any:
    """The value of a field as a file has it, with the unit that the field's name has."""
    parts = name.split("_")
    if content is None or isinstance(content, bool):
        return content
    if "ns" in parts:
        return DURATION.write(content)
    if parts[-1] == "s":
        return DURATION.write(round(content * NS_PER_S))
    if "bytes" in parts:
        return SIZE.write(content)
    if "usd" in parts:
        return (USD_PER_MONTH if parts[-1] == "month" else USD_PER_HOUR).write(content)
    if isinstance(content, tuple):
        return list(content)
    return str(content) if isinstance(content, Path) else content


def known_keys(model: type[BaseModel], path: tuple[str | int, ...]) -> Mapping[str, Any]:
    """The keys of the section at a path below `model`; none where the path leads elsewhere."""
    kind: Any = model
    for part in path:
        kind = _inner(kind, part)
    model_fields: Mapping[str, Any] = getattr(bare(kind), "model_fields", {})
    return model_fields


def _inner(kind: Any, part: str | int) -> Any:
    held = bare(kind)
    if isinstance(held, type) and issubclass(held, BaseModel):
        found = held.model_fields.get(str(part))
        return found.annotation if found else None
    arguments = typing.get_args(held)
    return arguments[-1] if arguments else None


def bare(kind: Any) -> Any:
    """A type without `Annotated` and without `| None`."""
    while True:
        if typing.get_origin(kind) is Annotated:
            kind = typing.get_args(kind)[0]
        elif typing.get_origin(kind) in _UNIONS:
            kind = next(one for one in typing.get_args(kind) if one is not types.NoneType)
        else:
            return kind
