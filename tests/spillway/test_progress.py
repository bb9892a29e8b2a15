"""Progress: a line in place on a terminal, lines now and then in a job's log, else nothing."""

import io

import pytest

from spillway.progress import EVERY_ENV, Progress, every_s


class Terminal(io.StringIO):
    """What a person looks at."""

    def isatty(self):
        return True


class Clock:
    """Time that passes when it is told to."""

    def __init__(self):
        self.now_s = 100.0

    def __call__(self):
        return self.now_s


def test_it_is_quiet_where_nobody_watches():
    """A pipe or a file gets nothing of it."""
    stream = io.StringIO()
    with Progress("plans", 3, stream=stream, environ={}) as progress:
        assert list(progress.each("abc")) == ["a", "b", "c"]
    assert stream.getvalue() == ""


def test_a_terminal_sees_how_far_it_is_and_keeps_nothing_of_it():
    """The line is drawn, counts, and is erased at the end."""
    stream = Terminal()
    with Progress("plans", 3, stream=stream, environ={"TERM": "xterm"}) as progress:
        progress.advance(said="home=2")
        progress._bar.refresh()
    drawn = stream.getvalue()
    assert "plans" in drawn
    assert "1 of 3" in drawn
    assert "home=2" in drawn
    assert drawn.rindex("\x1b[2K") > drawn.rindex("plans")  # the last thing done is to erase it


def test_the_log_of_a_job_has_a_line_now_and_then():
    """As often as the environment says, and no oftener."""
    stream, clock = io.StringIO(), Clock()
    environ = {EVERY_ENV: "10"}
    with Progress("turns", stream=stream, environ=environ, clock_s=clock) as progress:
        for _ in range(250):
            clock.now_s += 0.1
            progress.advance(said="none failed")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("20 s: turns: 20")
    assert lines[1].endswith(", none failed")


@pytest.mark.parametrize(
    ("text", "found"), [("", None), ("often", None), ("0", None), ("-3", None), ("0.01", 1.0)]
)
def test_an_interval_that_cannot_be_meant_is_none(text, found):
    """Nor is there a line every moment."""
    assert every_s({EVERY_ENV: text}) == found


def test_a_log_that_nobody_reads_any_more_ends_nothing():
    """What is done goes on."""
    stream, clock = io.StringIO(), Clock()
    progress = Progress("turns", stream=stream, environ={EVERY_ENV: "1"}, clock_s=clock)
    with progress:
        stream.close()
        clock.now_s += 5
        progress.advance()
        clock.now_s += 5
        progress.advance()
