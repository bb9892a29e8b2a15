"""A record is one line whatever is in it, and what it says can be read back."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.logs.lines import FIELDS, VALUE_CHARS_MAX, Lines

NASTY = 'a" b=1\n2026-01-01 INFO spillway.request ok\r\x1b[31m\u202e\u2028'


def record(message="it happened", exc_info=None, **fields):
    found = logging.LogRecord("spillway.request", logging.INFO, "", 0, message, None, exc_info)
    setattr(found, FIELDS, fields)
    return found


def test_a_line_of_text_has_its_fields_behind_it():
    """Those that nothing is known of are left out; what could be misread is quoted."""
    line = Lines("text").format(record(code="OK", site=None, model="a b", tokens=3, s=0.5, ok=True))
    _when, rest = line.split(" ", 1)
    assert rest == 'INFO spillway.request it happened code=OK model="a b" tokens=3 s=0.5 ok=true'


def test_a_line_of_json_is_one_document():
    """With the time in UTC."""
    found = json.loads(Lines("json").format(record(code="OK", site=None, tokens=3)))
    assert found["time"].endswith("+00:00")
    del found["time"]
    assert found == {
        "level": "info",
        "logger": "spillway.request",
        "message": "it happened",
        "code": "OK",
        "tokens": 3,
    }


def test_a_traceback_is_part_of_its_line():
    """As JSON and as text."""
    try:
        int(NASTY)
    except ValueError as error:
        found = record(exc_info=(type(error), error, error.__traceback__))
    assert "ValueError" in json.loads(Lines("json").format(found))["exception"]
    assert Lines("text").format(found).isprintable()


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_value_is_cut_where_it_is_too_long(form):
    """So that nobody fills a log with one request."""
    line = Lines(form).format(record("x" * 10_000, model="y" * 10_000))
    assert len(line) < 3 * VALUE_CHARS_MAX


@pytest.mark.parametrize("form", ["json", "text"])
@given(message=st.text(), value=st.text() | st.just(NASTY))
def test_nobody_writes_a_line_of_their_own(form, message, value):
    """Nor a second field, nor anything that a terminal would act on."""
    line = Lines(form).format(record(message, model=value, code="OK"))
    assert line.isprintable()
    if form == "json":
        assert json.loads(line)["code"] == "OK"
    else:
        head, _, code = line.rpartition(" code=")
        assert code == "OK"
        _, _, told = head.rpartition(" model=")
        assert told == value or json.loads(told) == value[:VALUE_CHARS_MAX]
