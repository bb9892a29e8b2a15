"""P13: of the requests that were promised their first token within x at 90 %, 85 to 95 % get it."""

import pytest

from router.policy.units import NS_PER_MS, NS_PER_S
from tests.router.policy.toy import Turn, World, fleet


def _kept(turns: list[Turn]) -> float:
    seen = [turn for turn in turns if turn.ttft_ns is not None]
    assert len(seen) > 300
    return sum(turn.ttft_ns <= turn.promised_ns for turn in seen) / len(seen)


@pytest.mark.parametrize(("name", "per_s", "prompt"), [("calm", 2.0, 400), ("busy", 6.0, 400)])
def test_p13_promises_are_kept_as_often_as_they_say(name, per_s, prompt):
    """Calm or busy, over three seeds; the first minute is for learning."""
    turns: list[Turn] = []
    for seed in range(3):
        world = World(fleet(ttft_ms=2000), seed)
        for index in range(2):
            world.add(f"home-{index}", "home", slots=8)
        world.add("rented-0", "rented", slots=8, rtt_ns=3 * NS_PER_MS)
        world.arrivals(name, per_s, 240 * NS_PER_S, turns=1, think_ns=1, prompt=prompt, output=20)
        world.run(60 * NS_PER_S)
        before = len(world.turns)
        world.run(180 * NS_PER_S)
        turns += world.turns[before:]
    assert 0.85 <= _kept(turns) <= 0.95
