"""Every parser that meets the network, over what is kept and some hundreds of other inputs."""

import random

import pytest

from benchmarks.fuzz import running
from benchmarks.fuzz.mutation import INPUT_BYTES_MAX, Mutator
from benchmarks.fuzz.running import keep, run
from benchmarks.fuzz.target import CORPUS, Target
from benchmarks.fuzz.targets import TARGETS

INPUTS = 300  # of each target beside the kept ones; `python -m benchmarks.fuzz` has millions


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_kept_finds_nothing(name):
    """Nor does what is made of it: refused with a reason or read, and never anything else."""
    target = TARGETS[name]
    outcome = run(target, len(target.kept()) + 1 + INPUTS, 60.0, seed=1)
    assert not outcome.problem, outcome.bad
    assert outcome.inputs == len(target.kept()) + 1 + INPUTS


def test_the_corpus_is_of_targets_that_there_are():
    """A file in a folder that nobody reads would protect nothing."""
    assert {path.name for path in CORPUS.iterdir()} <= set(TARGETS)


def test_a_find_is_told_with_its_input(tmp_path, monkeypatch):
    """Whether it raises, panics as Rust does, or hangs; and its input is kept as it was."""

    class Panic(BaseException):
        pass

    def raises(error):
        def target(raw):
            if b"x" in raw:
                raise error

        return target

    for error in (ValueError("no"), Panic("no")):
        outcome = run(Target("t", raises(error), [b"abx"]), 100, 60.0, seed=0)
        assert (outcome.problem, outcome.bad) == (f"{type(error).__name__}: no", b"abx")
        assert keep(outcome, tmp_path).read_bytes() == b"abx"
    monkeypatch.setattr(running, "HANG_S", 1)

    def hangs(raw):
        while raw:
            pass

    assert "more than 1 s" in run(Target("t", hangs, [b"x"]), 100, 60.0, seed=0).problem


def test_growth_without_end_is_a_find(monkeypatch):
    """Once a target is warm, what it adds for each input adds up."""
    held = []
    monkeypatch.setattr(running, "_WARM", 10)
    target = Target("t", lambda _: held.append(b"x" * 2**20), [b"x"])
    assert "memory grew" in run(target, 200, 60.0, seed=0).problem


def test_the_same_seed_makes_the_same_inputs():
    """So that a find is found again."""
    made = [
        [Mutator([b"one", b"two"], [b"word"], random.Random(7)).next() for _ in range(50)]
        for _ in range(2)
    ]
    assert made[0] == made[1]
    mutator = Mutator([b"x" * INPUT_BYTES_MAX], [], random.Random(0))
    assert all(len(mutator.next()) <= INPUT_BYTES_MAX for _ in range(1_000))
