"""Checks are run side by side, and one that goes wrong takes no other with it."""

import threading

from spillway.doctor.finding import Level, ok
from spillway.doctor.running import run


def test_a_check_that_hangs_is_told_beside_what_it_had_found():
    """It costs its own time and nobody else's."""
    never = threading.Event()

    def hangs():
        yield ok("slow", "the first part")
        never.wait()

    found = list(run([("slow", hangs), ("quick", lambda: [ok("quick", "well")])], check_s=0.2))
    never.set()
    assert [(one.check, one.level) for one in found] == [
        ("slow", Level.OK),
        ("slow", Level.WARNING),
        ("quick", Level.OK),
    ]
    assert "did not end" in found[1].what


def test_a_check_that_fails_is_a_finding_and_no_traceback():
    """It is a defect of the check, and says nothing of the fleet."""

    def fails():
        yield ok("broken", "the first part")
        raise ZeroDivisionError("by nothing")

    found = list(run([("broken", fails), ("sound", lambda: [ok("sound", "well")])]))
    assert [one.level for one in found] == [Level.OK, Level.WARNING, Level.OK]
    assert "ZeroDivisionError: by nothing" in found[1].what
