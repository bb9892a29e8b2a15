"""Log records as lines of text or of JSON. Whatever is in one, it is one line, and bounded.

Whoever asks chooses names and models, and a log is read by terminals and by programs: what is not
printable is escaped, and a value that could be read as another field is quoted.
"""

import json
import logging
import re
from datetime import UTC, datetime
from typing import Any, Final, Literal

LogFormat = Literal["text", "json"]

FIELDS: Final = "fields"
"""The attribute of a record that has its fields, by name."""

VALUE_CHARS_MAX: Final = 1_024
TRACE_CHARS_MAX: Final = 8_192
"""Of a traceback: its end says what went wrong."""

Value = str | int | float | bool | None

_BARE: Final = re.compile(r"[A-Za-z0-9_.:/@+\-]+", re.ASCII)


class Lines(logging.Formatter):
    """Time, level, logger and message of a record, then its fields; those that are None are not."""

    def __init__(self, form: LogFormat) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, Value] = getattr(record, FIELDS, {})
        said = {name: _cut(value) for name, value in fields.items() if value is not None}
        message = _cut(record.getMessage())
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)[-TRACE_CHARS_MAX:]
        if self._form == "json":
            head = {"time": when, "level": record.levelname.lower(), "logger": record.name}
            return json.dumps({**head, "message": message, **said}, separators=(",", ":"))
        pairs = [f"{name}={_bare(value)}" for name, value in said.items()]
        return " ".join((when, record.levelname, record.name, _printable(str(message)), *pairs))


class Words(logging.Formatter):
    """The message of a record and nothing else, for who has not asked for lines of a form.

    It is one line, too; below it, further to the right, is where an error came from.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end, and those of a traceback."""
        lines = [_printable(record.getMessage())]
        if record.exc_info:
            trace = self.formatException(record.exc_info)[-TRACE_CHARS_MAX:]
            lines += [f"  {_printable(line)}" for line in trace.split("\n")]
        return "\n".join(lines)


def _cut(value: Any) -> Any:
    """A value that is not too long."""
    if isinstance(value, str) and len(value) > VALUE_CHARS_MAX:
        return value[:VALUE_CHARS_MAX] + "..."
    return value


def _bare(value: Any) -> str:
    if isinstance(value, str):
        return value if _BARE.fullmatch(value) else json.dumps(value)
    return json.dumps(value)


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
