"""Moments as people write them: 06:00, 2026-12-01 06:00, +8h; and as they read them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_TIME: Final = re.compile(r"(?P<hours>[01][0-9]|2[0-3]):(?P<minutes>[0-5][0-9])")
EXPECTED: Final = "a time such as 06:00, a day and time such as 2026-12-01 06:00, or +8h from now"


def parse_moment(text: str, now: datetime) -> datetime:
    """The moment that a text means, seen at `now`, in the time zone of this machine.

    A time of the day is the next one: today's, or tomorrow's where that is past. ValueError says
    what was expected.
    """
    if text.startswith("+"):
        from spillway.fleet.quantity import DURATION

        return now + timedelta(microseconds=float(DURATION.read(text[1:])) / 1_000)
    if match := _TIME.fullmatch(text):
        clock = {"hour": int(match["hours"]), "minute": int(match["minutes"])}
        # Through the wall clock without a zone: the night may have 23 hours, or 25.
        local = now.replace(tzinfo=None, second=0, microsecond=0, fold=0, **clock)
        found = local.astimezone()
        return found if found > now else (local + timedelta(days=1)).astimezone()
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"expected {EXPECTED}") from None
    if len(text) <= len("2026-12-01"):
        raise ValueError(f"a day without a time; expected {EXPECTED}")
    try:
        return found.astimezone()
    except (OverflowError, OSError, ValueError):
        raise ValueError(f"no clock shows it; expected {EXPECTED}") from None


def local_now() -> datetime:
    """Now, in the time zone of this machine."""
    return datetime.now(UTC).astimezone()


def shown(unix_ns: int) -> str:
    """A time of the wall clock as people here read it, with its zone."""
    moment = datetime.fromtimestamp(unix_ns // 1_000_000_000, UTC).astimezone()
    return f"{moment:%a %d %b %H:%M %Z}"


def span(seconds: float) -> str:
    """How long something lasts, roughly, as people say it."""
    minutes = round(seconds / 60)
    if minutes < 1:
        return f"{max(0, round(seconds))} s"
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = ((days, "d"), (hours, "h"), (minutes, "min"))
    return " ".join(f"{count} {unit}" for count, unit in parts if count)
