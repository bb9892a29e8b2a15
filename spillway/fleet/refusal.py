"""pydantic's errors as problems of a fleet file: what was expected, what was found, where."""

import difflib
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from spillway.fleet.problem import KeyPath, Problem
from spillway.fleet.section import known_keys
from spillway.fleet.source import Source

FOUND_LENGTH_MAX = 40

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "list_type": "a list",
    "tuple_type": "a list",
    "literal_error": "{expected}",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "too_short": "at least {min_length}",
    "too_long": "at most {max_length}",
}


def problems(
    error: ValidationError, source: Source, model: type[BaseModel], above: KeyPath = ()
) -> Iterator[Problem]:
    """What `error` says of the section at the path `above`, whose schema is `model`."""
    for detail in error.errors(include_url=False):
        inner: KeyPath = tuple(part for part in detail["loc"] if part != "[key]")
        path = above + inner
        kind = detail["type"]
        if kind == "extra_forbidden":
            known = known_keys(model, inner[:-1])
            message = f"unknown key{did_you_mean(str(path[-1]), known)}"
            yield source.problem(path, message, at_key=True)
        elif kind == "missing":
            yield source.problem(path, "this key is missing")
        else:
            at_key = "[key]" in detail["loc"]
            message = f"{_expected(kind, detail)}, found {_described(detail['input'])}"
            yield source.problem(path, message, at_key=at_key)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint at the nearest of the known names, or at all of them where none is near."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known: {', '.join(names[:20])}" if names else ""


def _expected(kind: str, detail: Any) -> str:
    context = detail.get("ctx", {})
    if kind in _EXPECTED:
        return f"expected {_EXPECTED[kind].format(**context)}"
    return str(context.get("error", detail["msg"]))


def _described(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        noun = "a mapping" if isinstance(value, dict) else "a list"
        return noun if value else f"{noun} without content"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= FOUND_LENGTH_MAX else f"{text[:FOUND_LENGTH_MAX]}..."
