"""A recorded run of another simulator, followed request by request."""

import json
import sys
from dataclasses import asdict, replace

import pytest

from benchmarks.routing.followed import Choice, DynamoError, follow, record
from benchmarks.routing.mocked import figures_of, replay
from router.policy.units import NS_PER_MS
from router.sim.plan import SimSession, SimTurn
from router.sim.rivals.dynamo_kv import DynamoKv

WORKERS, BLOCK = 4, 64


def session(number: int, at_ms: int, prompt: int, shared: int) -> SimSession:
    """A prompt with so many blocks that all share, and others of its own."""
    own = prompt // BLOCK - shared
    names = (*range(shared), *(1_000 * number + block for block in range(own)))
    return SimSession(f"s{number}", at_ms * NS_PER_MS, (SimTurn(prompt, 20, 0, names),))


SESSIONS = [
    session(number, 40 * (number // 2), 900 + 70 * number, 10 * (number % 3))
    for number in range(1, 40)
]
SESSIONS += [session(number, 390, 1_500, 10) for number in (40, 41)]  # twins
SESSIONS.sort(key=lambda one: one.at_ns)
BY_ID = {one.id: one for one in SESSIONS}


def recorded(seed):
    """A run of our own, as if another simulator had recorded it."""
    policy = DynamoKv(hears_steps=True)
    records = replay(SESSIONS, WORKERS, BLOCK, policy, tells_steps=True, seed=seed)
    choices = [
        Choice(
            at_ms=BY_ID[one.session].at_ns / NS_PER_MS,
            prompt_tokens=one.prompt_tokens,
            output_tokens=one.output_tokens,
            worker=int(one.endpoint.split("/")[1]),
            ttft_ms=one.ttft_ns / NS_PER_MS,
            cached_tokens=one.cached_tokens,
        )
        for one in records
    ]
    return figures_of(records), choices


def test_a_run_by_the_same_rules_agrees_in_every_request():
    """Whatever chance chose in it, and in whatever order its requests are listed."""
    for seed in range(3):
        figures, choices = recorded(seed)
        assert any(choice.cached_tokens for choice in choices)
        followed = follow(figures, choices[::-1], SESSIONS, WORKERS, BLOCK)
        assert followed.agrees
        assert followed.requests == len(SESSIONS)


def test_a_choice_that_costs_more_is_seen():
    """So is a time that is not ours."""
    figures, choices = recorded(0)
    last = choices[-1]
    moved = [*choices[:-1], replace(last, worker=(last.worker + 1) % WORKERS)]
    found = [follow(figures, moved, SESSIONS, WORKERS, BLOCK)]
    slow = [*choices[:-1], replace(last, ttft_ms=last.ttft_ms + 0.1)]
    found.append(follow(figures, slow, SESSIONS, WORKERS, BLOCK))
    assert found[0].choices == len(SESSIONS) - 1
    assert (found[1].choices, found[1].times) == (len(SESSIONS), len(SESSIONS) - 1)
    assert not any(one.agrees for one in found)


def test_a_record_of_another_trace_is_refused():
    """It says nothing of this one."""
    figures, choices = recorded(0)
    other = [replace(choices[0], prompt_tokens=1), *choices[1:]]
    with pytest.raises(DynamoError, match="other requests"):
        follow(figures, other, SESSIONS, WORKERS, BLOCK)


def stand_in(path, lines):
    """A Python that does this instead of the script that it is given."""
    program = path / "program.py"
    program.write_text("import sys\n" + "\n".join(lines))
    python = path / "python"
    python.write_text(f'#!/bin/sh\nshift\nexec "{sys.executable}" "{program}" "$@"\n')
    python.chmod(0o755)
    return python


@pytest.mark.outside
def test_what_dynamo_prints_and_writes_is_read(tmp_path):
    """The figures are its last line, the choices a file that it is told of."""
    figures, choices = recorded(0)
    line = json.dumps({"seconds": 1.5, **asdict(figures)})
    written = json.dumps([asdict(one) for one in choices])
    python = stand_in(
        tmp_path,
        [
            "assert sys.argv[2:6] == ['4', '64', '2.5', 'kv_router']",
            f"open(sys.argv[6], 'w').write({written!r})",
            f"print('loading'); print({line!r})",
        ],
    )
    assert record(python, tmp_path / "trace", WORKERS, BLOCK, 2.5) == (figures, choices)


@pytest.mark.outside
def test_why_dynamo_failed_is_told(tmp_path):
    """In its own words."""
    python = stand_in(tmp_path, ["sys.exit('no such trace')"])
    with pytest.raises(DynamoError, match="no such trace"):
        record(python, tmp_path / "trace", WORKERS, BLOCK, 1.0)
