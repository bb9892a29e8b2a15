"""A step shows what it does while it does it, and a failed one ends with a sentence."""

import io
import os
import re
import sys

import pytest

from bootstrap.failure import SetupError
from bootstrap.progress import Progress, run


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.mark.outside
def test_a_step_says_what_it_fetches_and_how_long_it_took():
    """Where nothing is rewritten in place, lines that name a package are printed."""
    said = io.StringIO()
    run(
        "[1/1] Step", python("print('Downloading ray'); print('+ ray')"), os.environ, Progress(said)
    )
    *lines, last = said.getvalue().splitlines()
    assert lines == ["[1/1] Step", "    Downloading ray"]
    assert re.fullmatch(r"\[1/1\] Step: done in \d+ s", last)


@pytest.mark.outside
def test_a_failed_step_shows_its_last_words_and_a_sentence():
    """The installer's own words come first, what to do about them comes last."""
    said = io.StringIO()
    code = "import sys; print('No space left on device'); sys.exit(1)"
    with pytest.raises(SetupError, match="The disk is full"):
        run("[1/1] Step", python(code), os.environ, Progress(said))
    assert "No space left on device" in said.getvalue()
