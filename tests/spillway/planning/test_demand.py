"""Spells that stand for a trace: how heavy, how long, and who is in them."""

import pytest

from router.policy.units import NS_PER_S
from router.sim.plan import SimSession, SimTurn
from spillway.planning import demand
from spillway.planning.demand import SIMULATED_S_MIN, TURNS_HEAVY_MAX, TURNS_MAX, sample


class Load:
    """Equal sessions at even gaps; counts how often it is gone through."""

    def __init__(self, count, gap_s, turns=1, think_s=0.0):
        self.count, self.gap_s = count, gap_s
        self.turns = (
            SimTurn(100, 10),
            *(SimTurn(200, 10, int(think_s * NS_PER_S)) for _ in range(turns - 1)),
        )
        self.times = 0

    def __iter__(self):
        self.times += 1
        for index in range(self.count):
            yield SimSession(f"s{index}", int(index * self.gap_s * NS_PER_S), self.turns)


def _turns(found):
    return sum(spell.turns for spell in found.spells)


def test_a_long_trace_is_gone_through_twice_and_little_of_it_is_held():
    """A day of a turn a second: a twentieth of it is simulated."""
    load = Load(86_400, 1.0)
    found = sample(load)
    assert load.times == 2
    assert found.sessions == 86_400
    assert 0.8 * TURNS_MAX < _turns(found) <= 1.1 * TURNS_MAX
    assert sum(spell.weight for spell in found.spells) == pytest.approx(1.0)


def test_spells_of_a_heavy_load_are_few_and_long_enough():
    """Ten turns a second: fewer strata, so that each lasts two minutes."""
    found = sample(Load(40_000, 0.1))
    assert min(spell.lasts_s for spell in found.spells) >= SIMULATED_S_MIN
    assert len(found.spells) < len(sample(Load(4_000, 1.0)).spells)
    assert _turns(found) <= 1.1 * TURNS_MAX


def test_a_load_that_is_too_heavy_for_that_is_cut_to_what_can_be_simulated():
    """A hundred and fifty turns a second."""
    found = sample(Load(150_000, 1 / 150))
    assert _turns(found) <= 1.05 * TURNS_HEAVY_MAX


def test_a_spell_begins_with_the_conversations_that_are_under_way():
    """Forty minutes each: of those in a spell, most have begun before it."""
    found = sample(Load(2_000, 10.0, turns=41, think_s=60.0))
    spell = found.spells[len(found.spells) // 2]
    first_minute = sum(s.at_ns < 60 * NS_PER_S for s in spell.sessions)
    assert first_minute > 150  # 240 are under way, and six begin in a minute
    per_s = spell.turns / spell.lasts_s
    assert per_s == pytest.approx(4.1, rel=0.1)


def test_what_can_be_gone_through_once_is_kept():
    """An iterator is asked no second time."""
    assert sample(iter(Load(100, 1.0))).sessions == 100


def test_the_turns_of_a_piece_keep_their_pauses(monkeypatch):
    """But for the first, which comes when it would have come."""
    monkeypatch.setattr(demand, "SPELL_MINUTES_MAX", 1)
    found = sample(Load(1, 0.0, turns=4, think_s=40.0))
    pieces = sorted(
        (spell.begins_s, [turn.think_ns // NS_PER_S for turn in spell.sessions[0].turns])
        for spell in found.spells
    )
    assert pieces == [(0.0, [0, 40]), (60.0, [0]), (120.0, [0])]
