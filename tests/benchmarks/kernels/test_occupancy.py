"""Occupancy is whatever runs out first."""

import pytest

from benchmarks.kernels.occupancy import MULTIPROCESSORS


@pytest.mark.parametrize(
    ("registers", "warps", "shared_kib", "programs"),
    [
        (168, 12, 208, 1),  # shared memory
        (145, 4, 70, 3),  # shared memory and registers alike
        (255, 8, 16, 1),  # registers: 65536 / (255 rounded to 256) / 256 threads
        (32, 8, 0, 8),  # warps
        (16, 1, 0, 32),  # programs
    ],
)
def test_the_scarcest_resource_decides(registers, warps, shared_kib, programs):
    """Each case is bound by another resource of an H200's multiprocessor."""
    assert MULTIPROCESSORS[90].resident(registers, warps, shared_kib * 1024) == programs
