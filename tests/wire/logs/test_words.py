"""A log that nobody asked to have a form is of lines, too: a name in it begins none."""

import logging
import sys
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from wire.logs.lines import Words
from wire.logs.writing import log_lines


def formatted(message, *arguments, error=None):
    """What a record becomes."""
    info = None
    try:
        if error is not None:
            raise error
    except ValueError:
        info = sys.exc_info()
    return Words().format(logging.LogRecord("r", logging.ERROR, "f", 1, message, arguments, info))


@given(st.text(), st.text())
def test_what_is_at_the_left_began_a_record(name, text):
    """Neither a name nor the words of an error begin a line, and no terminal obeys any of it."""
    said = formatted("%s is away", name, error=ValueError(text))
    first, *below = said.split("\n")
    assert first.endswith(" is away")
    assert below
    assert all(line.startswith("  ") for line in below)
    assert not any(unicodedata.category(one) == "Cc" for one in said.replace("\n", ""))
    assert len(said.splitlines()) == 1 + len(below)


def test_a_process_without_a_form_logs_words(capsys):
    """Warnings as they are, on one line, where nothing else has been set up for them."""
    alone = logging.Logger("alone")  # noqa: LOG001 - those that are registered have handlers here
    with log_lines(None):
        alone.warning("%s cannot be reached", "home\n2026 ERROR x\x1b[2J")
        alone.info("nobody hears of it")
    assert capsys.readouterr().err == "home\\n2026 ERROR x\\x1b[2J cannot be reached\n"
    assert logging.lastResort.formatter is None
