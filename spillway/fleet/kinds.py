"""The kinds of text and number that keys of a fleet file take, beside quantities."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field

from spillway.fleet.quantity import DURATION, USD_PER_GIB, USD_PER_HOUR, USD_PER_MONTH, Quantity

NAME_LENGTH_MAX = 64
TEXT_LENGTH_MAX = 4096
PORT_MAX = 65_535

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/:+-]*")
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
_PORT = re.compile(r"[0-9]{1,5}")
NS_PER_S = 1_000_000_000
_UTC_TIME = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?Z")
_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")


def is_name(value: str) -> bool:
    """Whether a site, a class or a fleet may have this name."""
    return _NAME.fullmatch(value) is not None and len(value) <= NAME_LENGTH_MAX


def _name(value: object) -> str:
    if isinstance(value, str) and is_name(value):
        return value
    raise ValueError(
        f"expected a name of at most {NAME_LENGTH_MAX} letters, digits, '.', '_' and '-'"
    )


def _model_name(value: object) -> str:
    if (
        isinstance(value, str)
        and _MODEL_NAME.fullmatch(value)
        and len(value) <= 4 * NAME_LENGTH_MAX
    ):
        return value
    raise ValueError("expected a model's name, such as llama-3.1-8b or org/model")


def _text(value: object) -> str:
    if isinstance(value, str) and 0 < len(value) <= TEXT_LENGTH_MAX and value.isprintable():
        return value
    raise ValueError("expected text on one line")


def _region(value: object) -> str:
    if isinstance(value, str) and len(value) <= NAME_LENGTH_MAX and value.isprintable():
        return value
    raise ValueError(f"expected text of at most {NAME_LENGTH_MAX} characters")


def _host(value: object) -> str:
    if isinstance(value, str) and _HOST.fullmatch(value) and len(value) <= 253:
        return value
    raise ValueError("expected a host, such as 10.0.0.5 or gpu.example.org")


def _address(value: object) -> str:
    if isinstance(value, str):
        host, colon, port = value.rpartition(":")
        if colon and _PORT.fullmatch(port) and int(port) <= PORT_MAX and _HOST.fullmatch(host):
            return value
    raise ValueError("expected an address as host:port, such as 10.0.0.5:7070")


def _endpoint(value: object) -> str:
    address = _address(value)
    if int(address.rpartition(":")[2]) == 0:
        raise ValueError("expected an address to connect to, which has a port above 0")
    return address


def _dashboard(value: object) -> str:
    expected = ValueError("expected the dashboard's URL, such as http://10.0.0.5:8265")
    if not isinstance(value, str) or not value.isprintable():
        raise expected
    try:
        url = urlsplit(value)
        named = _HOST.fullmatch(url.hostname or "") or ":" in (url.hostname or "")
        plain = url.path in {"", "/"} and not (url.query or url.fragment or "@" in url.netloc)
        port = url.port
    except ValueError:
        raise expected from None
    if url.scheme not in {"http", "https"} or not named or not plain or port == 0:
        raise expected
    return value.rstrip("/")


def _time_of_day(value: object) -> int:
    if not isinstance(value, str) or _TIME_OF_DAY.fullmatch(value) is None:
        raise ValueError("expected a time of the day (UTC) from 00:00 to 24:00, such as 22:30")
    hours, minutes = value.split(":")
    return int(hours) * 60 + int(minutes)


def time_of_day(minute: int) -> str:
    """A minute of the day as a file has it."""
    return f"{minute // 60:02}:{minute % 60:02}"


def _utc_time(value: object) -> int:
    expected = ValueError("expected a time as 2027-03-31T18:00:00Z, in UTC")
    if not isinstance(value, str) or _UTC_TIME.fullmatch(value) is None:
        raise expected
    try:
        at = datetime.fromisoformat(value)
    except ValueError:
        raise expected from None
    return int(at.timestamp()) * NS_PER_S


def utc_time(unix_ns: int) -> str:
    """A time as a file has it, to the second."""
    at = datetime.fromtimestamp(unix_ns // NS_PER_S, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}Z"


def _span(value: object) -> int:
    duration_ns = DURATION.read_whole(value)
    if not duration_ns:
        raise ValueError("expected a duration above zero")
    return duration_ns


def _money(kind: Quantity) -> BeforeValidator:
    return BeforeValidator(lambda value: float(kind.read(value)))


Name = Annotated[str, BeforeValidator(_name)]
ModelName = Annotated[str, BeforeValidator(_model_name)]
Text = Annotated[str, BeforeValidator(_text)]
Region = Annotated[str, BeforeValidator(_region)]
Host = Annotated[str, BeforeValidator(_host)]
Address = Annotated[str, BeforeValidator(_address)]
EndpointAddress = Annotated[str, BeforeValidator(_endpoint)]
DashboardUrl = Annotated[str, BeforeValidator(_dashboard)]
FilePath = Annotated[Path, BeforeValidator(lambda value: Path(_text(value)))]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=1_000_000)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]  # as router.policy.lending.DAYS
Span = Annotated[int, BeforeValidator(_span)]  # in nanoseconds
TimeOfDay = Annotated[int, BeforeValidator(_time_of_day)]
UtcTime = Annotated[int, BeforeValidator(_utc_time)]
UsdPerHour = Annotated[float, _money(USD_PER_HOUR)]
UsdPerMonth = Annotated[float, _money(USD_PER_MONTH)]
UsdPerGib = Annotated[float, _money(USD_PER_GIB)]
