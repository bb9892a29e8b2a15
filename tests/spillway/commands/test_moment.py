"""Moments as people write them, in the zone of the machine, whose nights have 23 hours or 25."""

import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spillway.commands.moment import parse_moment, shown, span


@pytest.fixture(autouse=True)
def zurich(monkeypatch):
    """A zone with summer time."""
    monkeypatch.setenv("TZ", "Europe/Zurich")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def here(*when):
    return datetime(*when).astimezone()


NOON = (2026, 7, 6, 12)


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("18:30", (2026, 7, 6, 18, 30)),
        ("06:00", (2026, 7, 7, 6)),
        ("12:00", (2026, 7, 7, 12)),
        ("2026-07-08 06:00", (2026, 7, 8, 6)),
        ("2026-07-08T06:00:30", (2026, 7, 8, 6, 0, 30)),
        ("2026-07-08T06:00Z", (2026, 7, 8, 8)),
        ("2026-07-08T06:00+05:30", (2026, 7, 8, 2, 30)),
        ("+8h", (2026, 7, 6, 20)),
        ("+90min", (2026, 7, 6, 13, 30)),
    ],
)
def test_a_moment_is_the_next_of_its_kind(text, when):
    """Local, unless it says its zone."""
    assert parse_moment(text, here(*NOON)) == here(*when)


def test_tomorrow_morning_is_tomorrow_morning_when_the_clocks_change():
    """Also where that is in 23 or in 25 hours."""
    for evening, hours in (((2026, 3, 28, 7), 22), ((2026, 10, 24, 7), 24)):
        found = parse_moment("06:00", here(*evening))
        assert (found.hour, found.minute) == (6, 0)
        assert found - here(*evening) == timedelta(hours=hours)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "6",
        "25:00",
        "24:00",
        "06:60",
        "noon",
        "2026-07-08",
        "+8",
        "+-1h",
        "0001-01-01 00:00",
        "-",
    ],
)
def test_what_is_no_moment_is_refused(text):
    """With what was expected."""
    with pytest.raises(ValueError, match="expected"):
        parse_moment(text, here(*NOON))


@given(st.text(max_size=30))
def test_any_text_is_a_moment_or_refused(text):
    """In no other way."""
    refused = ""
    try:
        assert parse_moment(text, here(*NOON)).tzinfo is not None
    except ValueError as error:
        refused = str(error)
    assert "expected" in refused or not refused


def test_a_time_is_shown_with_its_zone():
    """So that nobody has to guess it."""
    unix_s = int(datetime(2026, 7, 7, 4, 0, tzinfo=UTC).timestamp())
    assert shown(unix_s * 10**9) == "Tue 07 Jul 06:00 CEST"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (29, "29 s"), (61, "1 min"), (5 * 3600, "5 h"), (90000, "1 d 1 h")],
)
def test_a_span_is_said_roughly(seconds, said):
    """In the units that matter."""
    assert span(seconds) == said
