"""Traces in three formats are read as sessions, and bad rows are named."""

import gzip
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.workloads.plan import Session, Turn
from benchmarks.workloads.traces import TraceError, cut, read_trace, scaled, write_trace

AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,4808,10
2023-11-16 18:17:04.0319600,3180,8
"""
MOONCAKE = [
    {"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [0, 1]},
    {"timestamp": 0, "input_length": 700, "output_length": 6, "hash_ids": [0, 2]},
    {"timestamp": 3000, "input_length": 800, "output_length": 7, "hash_ids": [0, 3]},
]


def read(path):
    return list(read_trace(path, rng=random.Random(0)))


def test_azure_rows_become_sessions_of_one_turn(tmp_path):
    """Offsets count from the first row; lengths are kept."""
    path = tmp_path / "trace.csv"
    path.write_text(AZURE)
    first, second = read(path)
    assert (first.at_s, first.turns) == (0.0, (Turn(4808, 10),))
    assert second.at_s == pytest.approx(0.052, abs=1e-6)


def test_mooncake_rows_are_jittered_within_their_quantum_and_stay_in_order(tmp_path):
    """Equal timestamps spread over 3 s; the order in time and the blocks are kept."""
    path = tmp_path / "trace.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, MOONCAKE)).encode()))
    sessions = read(path)
    offsets = [session.at_s for session in sessions]
    assert offsets == sorted(offsets)
    assert 0 <= offsets[0] < offsets[1] < 3 <= offsets[2] < 6
    assert sessions[2].turns[0].blocks == (0, 3)
    assert sessions[0].block_tokens == 512


@given(
    st.lists(
        st.builds(
            Session,
            id=st.uuids().map(str),
            at_s=st.floats(0, 1e6),
            turns=st.lists(
                st.builds(
                    Turn,
                    prompt_tokens=st.integers(1, 10**6),
                    output_tokens=st.integers(1, 10**5),
                    think_s=st.floats(0, 1e4),
                    blocks=st.lists(st.integers(0, 2**40), max_size=3).map(tuple),
                ),
                min_size=1,
                max_size=3,
            ).map(tuple),
            block_tokens=st.integers(1, 4096),
            slo=st.text(max_size=5),
            tenant=st.text(max_size=5),
        ),
        max_size=4,
        unique_by=lambda session: session.id,
    )
)
def test_our_format_loses_nothing(tmp_path_factory, sessions):
    """What is written is read again."""
    path = tmp_path_factory.mktemp("traces") / "trace.jsonl"
    write_trace(sessions, path)
    if sessions:
        assert read(path) == sessions


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "1: not a trace"),
        ("hello\n", "1: not a trace"),
        (AZURE + "2023-11-16 18:17:05,x,1\n", "4: invalid literal"),
        (AZURE + "2023-11-16 18:17:05,1\n", "4: "),
        ('{"at_s": 0}\n', "1: no field 'prompt_tokens'"),
        ('{"at_s": -1, "prompt_tokens": 1, "output_tokens": 1}\n', "1: an offset"),
        ('{"at_s": 0, "prompt_tokens": -1, "output_tokens": 1}\n', "1: a number of tokens"),
        ('{"at_s": 0, "prompt_tokens": 1, "output_tokens": 1}\n[]\n', "2: expected a JSON object"),
    ],
)
def test_a_bad_row_is_named(tmp_path, text, complaint):
    """The message has the file, the line and what is wrong."""
    path = tmp_path / "trace"
    path.write_text(text)
    with pytest.raises(TraceError, match=complaint):
        read(path)


BEGINNINGS = [b"", AZURE.encode(), json.dumps(MOONCAKE[0]).encode() + b"\n", b"\x1f\x8b\x08"]


@given(st.sampled_from(BEGINNINGS), st.binary(min_size=1, max_size=200))
def test_any_file_is_a_trace_or_a_trace_error(tmp_path_factory, beginning, garbage):
    """Garbage never raises anything else."""
    path = tmp_path_factory.mktemp("traces") / "trace"
    path.write_bytes(beginning + garbage)
    try:
        sessions = read(path)
    except TraceError:
        sessions = []
    assert all(session.turns for session in sessions)


def test_a_missing_file_is_named(tmp_path):
    """The operating system's reason is given."""
    with pytest.raises(TraceError, match="No such file"):
        read(tmp_path / "none")


def test_speed_and_cuts_change_only_what_they_say():
    """Speed divides offsets; cuts shorten what is longer."""
    session = Session("a", 10.0, (Turn(100, 50, think_s=2.0), Turn(10, 5)))
    (fast,) = scaled([session], 4.0)
    assert (fast.at_s, fast.turns) == (2.5, session.turns)
    (short,) = cut([session], 20, None)
    assert short.turns == (Turn(20, 50, think_s=2.0), Turn(10, 5))
