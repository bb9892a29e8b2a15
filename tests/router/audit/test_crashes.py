"""Kills whoever writes an audit log, again and again, and looks what is left of it."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from router.audit.journal import files_of
from router.audit.verifying import records, verify

SECRET = b"s" * 32
ROOT = Path(__file__).parents[3]


def killed_after(path, begin, wanted, rng, bytes_max=4_000, files_max=10_000):
    """The records that a process said it had written, the last of which it may not have said."""
    numbers = map(str, (bytes_max, files_max, begin))
    command = [sys.executable, "-m", "tests.router.audit.killed", str(path), *numbers]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        told = [int(process.stdout.readline()) for _ in range(wanted)]
        for _ in range(rng.randrange(2_000)):  # a moment, of no particular length
            pass
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read().splitlines(keepends=True)
        told += [int(line) for line in rest if line.endswith(b"\n")]
    return told


def crash(path, times, seed):
    rng, told = random.Random(seed), []
    for number in range(times):
        told += killed_after(path, number * 1_000_000, rng.randint(1, 6), rng)
    verdict = verify(path, SECRET)
    assert verdict.is_whole, verdict.problem
    counts = [one["count"] for one in records([path], SECRET) if "count" in one]
    assert len(counts) == len(set(counts))  # nothing twice
    assert set(told) <= set(counts)  # nothing lost that was acknowledged
    # Nor is anything there that nobody asked for: of each process, one record at most was not told.
    assert len(counts) <= len(told) + times
    return verdict


def test_what_was_acknowledged_is_there_after_a_kill(tmp_path):
    """A dozen kills at random points, each followed by the next process on the same log."""
    crash(tmp_path / "audit.jsonl", 12, seed=1)


@pytest.mark.parametrize("times", [12, pytest.param(200, marks=pytest.mark.slow)])
def test_kills_amid_the_removal_of_old_files_leave_a_whole_log(tmp_path, times):
    """Every few records a file is full, and the oldest goes: what is left follows what is said."""
    path, rng, told = tmp_path / "audit.jsonl", random.Random(3), []
    for number in range(times):
        begin = number * 1_000_000
        told += killed_after(path, begin, rng.randint(1, 30), rng, bytes_max=1_500, files_max=2)
        assert len(files_of(path)) <= 5  # two, that which is written, and what a kill left over
        verdict = verify(path, SECRET)
        assert verdict.is_whole, verdict.problem
    counts = [one["count"] for one in records([path], SECRET) if "count" in one]
    latest = [count for count in told if count >= counts[0]]
    assert set(latest) <= set(counts)
    assert verdict.pruned


@pytest.mark.slow
def test_two_hundred_kills(tmp_path):
    """The same for longer, over rotations."""
    assert crash(tmp_path / "audit.jsonl", 200, seed=2).records > 400
