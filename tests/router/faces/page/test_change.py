"""What of a frame has changed turns the one before into it."""

from hypothesis import given

from router.faces.page.change import change
from tests.router.faces.page.stream import FRAMES, changed


@given(FRAMES, FRAMES)
def test_it_turns_any_frame_into_any_other(before, after):
    """Sites and endpoints that come or go, too."""
    assert changed(before, change(before, after)) == after


@given(FRAMES)
def test_of_what_stands_still_nothing_is_told(frame):
    """But for the time."""
    assert change(frame, frame | {"at": None}) in ({"at": None}, {})


def test_of_one_endpoint_only_its_row_is_told():
    """In its place, and nothing of the others."""
    before = {"sites": [{"open": 1, "each": [["a", 1], ["b", 2]]}, {"open": 0, "each": []}]}
    after = {"sites": [{"open": 1, "each": [["a", 1], ["b", 3]]}, {"open": 0, "each": []}]}
    assert change(before, after) == {"sites": {"0": {"each": {"1": ["b", 3]}}}}
