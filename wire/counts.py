"""Counts in metadata: how many tokens, bytes, attempts or milliseconds a request says of itself."""

from collections.abc import Mapping
from typing import Final

from wire.status import bad_field

COUNT_DIGITS_MAX: Final = 10
"""Of any number of tokens or bytes that fits a request."""


def read_count(key: str, named: Mapping[str, str | bytes]) -> int | None:
    """The count under this key; None where there is none.

    Raises CallError (INVALID_ARGUMENT, naming the key) for what is no count.
    """
    value = named.get(key)
    if value is None:
        return None
    if not (isinstance(value, str) and value.isascii() and value.isdigit()):
        raise bad_field(key, "must be a number of decimal digits")
    if len(value) > COUNT_DIGITS_MAX:
        raise bad_field(key, f"must have at most {COUNT_DIGITS_MAX} digits")
    return int(value)
