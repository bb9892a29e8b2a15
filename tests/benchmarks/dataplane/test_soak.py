"""A router's memory, files and tasks are flat while clients come and go, and a leak is seen."""

import dataclasses

import pytest

from benchmarks.dataplane.soak import BYTES_PER_STREAM_MAX, SLACK_BYTES, Sample, flat, soak

IDLE = Sample(streams=0, seconds=0.0, resident_mib=60.0, files=20, tasks=12, calls=0)


def samples(mib_per_sample):
    return [
        dataclasses.replace(IDLE, streams=10_000 * n, resident_mib=60 + mib_per_sample * n)
        for n in range(1, 21)
    ]


@pytest.mark.slow
async def test_nothing_is_left_of_streams_that_finish_are_cancelled_or_lose_their_client():
    """Two thousand of them; the command has a hundred times as many."""
    result = await soak(2_000, seed=1)
    assert not result["wrong"]
    ended = result["streams"]
    assert ended["finished"] + ended["cancelled"] + ended["lost"] == ended["streams"] == 2_000
    assert min(ended["finished"], ended["cancelled"], ended["lost"]) > 0


def test_what_is_flat_is_not_complained_of():
    """The allocator's steps are no leak."""
    steps = SLACK_BYTES / 2**20 / 20
    assert flat(samples(steps), [IDLE, IDLE]) == []


def test_a_leak_is_named():
    """Of memory for each stream, of files, of tasks, and of calls that nobody waits for."""
    leak = 3 * BYTES_PER_STREAM_MAX * 10_000 / 2**20
    after = dataclasses.replace(IDLE, files=23, tasks=14, calls=1)
    assert [one.split(" ")[0] for one in flat(samples(leak), [IDLE, after])] == [
        "memory",
        "3",
        "2",
        "1",
    ]
