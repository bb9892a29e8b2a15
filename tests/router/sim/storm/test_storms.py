"""A few hundred of the storms that `python -m router.sim.storm` runs by the thousand."""

from dataclasses import replace

import pytest

from router.policy import core as core_module
from router.policy import decider
from router.policy.quarantine import Quarantine
from router.policy.registry import Registry
from router.policy.resume import Mode
from router.policy.retry_budget import RetryBudget
from router.policy.spend import Budget
from router.policy.tracked import Tracked
from router.sim.storm.listing import StormListing
from router.sim.storm.plan import Kind, storm_of
from router.sim.storm.router import StormRouter
from router.sim.storm.run import run
from router.sim.storm.trial import try_seed

SEEDS = range(120)
ENOUGH = range(150)  # of them, for a fault of ours to show


HEDGED = tuple(seed for seed in range(400) if storm_of(seed).fleet.slo_classes[0].hedge_share)
RELOADED = tuple(
    seed
    for seed in range(2_000)
    if any(one.kind is Kind.RELOADED for one in storm_of(seed).strikes)
)
POISONED = tuple(seed for seed in range(1_200) if storm_of(seed).has_poison)


def first_broken(seeds=ENOUGH):
    """What the first storm that breaks a rule says."""
    return next((sentence for seed in seeds if (sentence := try_seed(seed)[2])), "")


@pytest.fixture(scope="module")
def tried():
    """What became of each storm, of the code as it is."""
    return {seed: try_seed(seed) for seed in SEEDS}


def test_no_storm_breaks_a_rule(tried):
    """Exactly once, nothing lost, counters at zero, budgets kept, tables bounded."""
    assert not {seed: sentence for seed, (_, _, sentence) in tried.items() if sentence}


@pytest.mark.parametrize(
    ("seed", "what"),
    [
        (8_364, "a stream that only its unknown engine could go on with"),
        (53_423, "retries of what was lost with endpoints that a reload took away"),
        (55_924, "requests that a suspended router sends all at once"),
    ],
)
def test_a_rule_is_no_stricter_than_what_is_promised(seed, what):
    """Storms among a hundred thousand in which a rule of the storm's was once the one at fault."""
    assert not try_seed(seed)[2], what


def test_storms_are_storms(tried):
    """Every fault comes; streams are resumed and hedged, poison is found, late tokens kept away."""
    kinds = {strike.kind for seed in SEEDS for strike in storm_of(seed).strikes}
    assert kinds == set(Kind)
    counts = [one[1] for one in tried.values()]
    for what in ("resumed", "late_tokens", "hedges", "poisoned", "quarantined"):
        assert sum(one[what] for one in counts) > 5, what


def test_a_seed_replays_to_the_letter():
    """The decision log of a storm is the same each time."""

    def log(seed):
        lines = []
        run(storm_of(seed), lambda now, line: lines.append((now, line)))
        return lines

    assert log(7) == log(7)
    assert log(7) != log(8)


def test_a_router_that_passes_late_tokens_on_is_caught(monkeypatch):
    """The rule of exactly once sees what an abandoned attempt still says."""

    def hear(self, name, epoch, spoken):
        for one in spoken:
            turn = self.turns[one.attempt.ask.id]
            if not turn.status and one.attempt is not turn.attempt:
                turn.given.append(one)
            elif one.attempt is turn.attempt:
                self._hear(turn, one)

    monkeypatch.setattr(StormRouter, "hear", hear)
    assert "at place" in first_broken()


def test_a_core_that_continues_anywhere_is_caught(monkeypatch):
    """A splice of two generations, or of half a request, shows in its tokens."""
    monkeypatch.setattr(decider, "mode_at", lambda *_: Mode.CONTINUE)
    monkeypatch.setattr("router.policy.judge.mode_at", lambda *_: Mode.CONTINUE)
    assert "another generation" in first_broken()


def test_a_counter_that_leaks_is_caught(monkeypatch):
    """P7: one end in seven is not counted."""
    on_end, ends = Tracked.on_end, iter(range(10**9))

    def leaking(self, flight, ended, now):
        on_end(self, flight, ended, now)
        self.in_flight += next(ends) % 7 == 0

    monkeypatch.setattr(Tracked, "on_end", leaking)
    assert "in flight" in first_broken()


def test_a_core_that_sends_to_the_dead_is_caught(monkeypatch):
    """P8: where the connection is lost, nothing may go."""
    monkeypatch.setattr(core_module.RouterCore, "on_connection", lambda *_, **__: None)
    assert "not connected" in first_broken()


def test_a_core_that_never_gives_up_is_caught(monkeypatch):
    """A stream over a connection that is half open would hang until its deadline."""
    monkeypatch.setattr(core_module.RouterCore, "given_up", lambda *_: ())
    assert "hung until its deadline" in first_broken()


def test_a_loser_of_a_race_that_is_left_running_is_caught(monkeypatch):
    """A hedge's other attempt must end in the core and in its engine."""

    def win(self, turn, attempt):
        turn.attempt, turn.rival = attempt, None

    monkeypatch.setattr(StormRouter, "_win", win)
    assert "counted open" in first_broken(HEDGED)


def test_a_core_that_hedges_without_budget_is_caught(monkeypatch):
    """By the number of hedges, or by what they cost."""
    monkeypatch.setattr(RetryBudget, "take", lambda _: True)
    monkeypatch.setattr(Budget, "level", lambda *_: 1e9)
    assert "hedges" in first_broken(HEDGED) or "above" in first_broken(HEDGED)


def test_a_core_that_forgives_every_crash_is_caught(monkeypatch):
    """One prompt would kill one engine after the other."""
    monkeypatch.setattr(Quarantine, "on_failed", lambda *_, **__: None)
    assert "engines" in first_broken(POISONED)


def test_a_core_that_blames_whoever_was_near_is_caught(monkeypatch):
    """A poison's neighbours are at both of its crashes, too."""
    monkeypatch.setattr(Quarantine, "_has_company", lambda *_: False)
    assert any("which kills nothing" in try_seed(seed)[2] for seed in POISONED)


def test_a_reload_that_lets_a_site_be_is_caught(monkeypatch):
    """What the fleet file has no longer gets no request."""
    adopt = Registry.adopt

    def lenient(self, fleet, confidences, now):
        before = {name: state.site for name, state in self.sites.items()}
        kept = {**before, **{site.name: site for site in fleet.sites}}
        return adopt(self, replace(fleet, sites=tuple(kept.values())), confidences, now)

    monkeypatch.setattr(Registry, "adopt", lenient)
    monkeypatch.setattr(StormListing, "_drop", lambda self, name: self.listed.discard(name))
    assert "gone or not connected" in first_broken(RELOADED)


def test_a_reload_that_forgets_a_class_is_caught(monkeypatch):
    """Who came while the fleet had it keeps it."""
    monkeypatch.setattr(decider, "FORMER_CLASSES_MAX", 0)
    assert "KeyError" in first_broken(RELOADED) or "lost its class" in first_broken(RELOADED)
