"""Every drill on a fleet of its own: real processes, each token checked."""

import random

import pytest

from spillway.drills.drills import DRILLS
from spillway.drills.running import run_local

pytestmark = [pytest.mark.live]


@pytest.mark.parametrize("name", DRILLS)
async def test_what_is_promised_holds(name):
    """Nothing breaks, the fault is seen, and what was healed serves again."""
    report = await run_local(DRILLS[name], 2.0, lambda _: None, random.Random(1))
    assert report.held, report.lines()
    assert len(report.promises) >= 4
