"""What a report says of streams: broken, wrong, gone on elsewhere."""

import pytest

from spillway.drills.load import Heard, Seen
from spillway.drills.report import Report


def seen(text="1 2 3", **fields):
    return Seen(0.0, "1 2 3", text=text, **fields)


def judged(*streams):
    report = Report("site-lost", "local")
    report.judge_streams(Heard(list(streams)), 0.0)
    return [one.held for one in report.promises]


@pytest.mark.parametrize(
    ("streams", "held"),
    [
        ([seen()], [True, True]),
        ([seen("1 2", error="UNAVAILABLE: gone")], [False, True]),  # honestly
        ([seen("1 2")], [True, False]),  # it says that this is all
        ([seen("1 2 2 3")], [True, False]),
        ([seen("1 3", error="ABORTED: gone")], [False, False]),
        ([], [False, True]),  # nothing was shown
    ],
)
def test_what_broke_and_what_is_wrong_are_told_apart(streams, held):
    """A stream that broke off may have been right so far."""
    assert judged(*streams) == held


def test_the_longest_pause_is_that_after_the_strike():
    """What was slow before says nothing of it."""
    stream = seen(arrived_s=[0.0, 5.0, 5.1, 5.5], resumed=1)
    report = Report("site-lost", "local")
    report.judge_streams(Heard([stream]), 5.05)
    assert report.figures == {"streams": 1, "went_on_elsewhere": 1, "longest_pause_s": 0.4}
    assert report.lines()[-1] == "streams 1, went on elsewhere 1, longest pause 0.4 s"


def test_moments_are_said_as_they_come_and_all_is_in_the_json():
    """With the verdict."""
    said = []
    report = Report("site-lost", "local", said.append)
    report.note("struck")
    report.promise("it is seen", held=False, found="it never was")
    found = report.as_json()
    assert said[0].endswith("s  struck")
    assert (found["held"], found["promises"][0]["found"]) == (False, "it never was")
    assert report.lines() == ["BROKEN  it is seen: it never was"]
