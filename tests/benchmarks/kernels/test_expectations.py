"""A kernel that misses an expectation is named with what it misses; a rival is only compared."""

from dataclasses import replace

import pytest

from benchmarks.kernels.compiled import Compiled
from benchmarks.kernels.expectations import comparison, faults

GOOD = Compiled(
    operation="paged_prefill",
    name="d128",
    capability=90,
    triton="3.9.0",
    registers=199,
    spills=0,
    stack_bytes=0,
    shared_bytes=131072,
    warps=8,
    instructions={"wgmma": 24, "mma": 0, "cp_async": 48, "bulk_load": 0, "exp2": 68},
    kv_buffers=3,
    kv_buffers_planned=3,
    resident=1,
    resident_planned=1,
    bytes_ahead=65536,
    tile_instructions=443,
    per_pair=14.0,
)
RIVAL = replace(GOOD, operation="vllm", name="prefill-d128", spills=9, per_pair=77.0)


def test_a_good_kernel_has_no_faults():
    """Nor has a kernel that attends nothing, nor a rival however it spills."""
    planner = replace(GOOD, kv_buffers=0, kv_buffers_planned=0, tile_instructions=0)
    assert faults([GOOD, planner, RIVAL]) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"spills": 2, "stack_bytes": 16}, "spills"),
        ({"kv_buffers": 2}, "buffers 2 KV tiles, not 3"),
        ({"resident": 0}, "0 programs fit"),
        ({"instructions": GOOD.instructions | {"wgmma": 0}}, "without wgmma"),
        ({"operation": "paged_decode", "bytes_ahead": 20000}, "20000 bytes"),
    ],
)
def test_a_fault_is_named(change, words):
    """The sentence says which kernel, for what, by which Triton."""
    (fault,) = faults([replace(GOOD, **change)])
    assert words in fault
    assert "d128 for sm_90 by Triton 3.9.0" in fault


def test_ours_is_compared_with_the_rival_of_its_kind():
    """Prefill with prefill; a rival that is missing compares with nothing."""
    assert comparison([GOOD, RIVAL]) == [("paged_prefill/d128", "vllm/prefill-d128", 5.5)]
    assert comparison([GOOD]) == []
