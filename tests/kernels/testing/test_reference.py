"""The truth that kernels are compared with."""

import torch

from kernels.spec import AttentionSpec
from kernels.testing import make_case, reference_paged_attention

SPEC = AttentionSpec(
    *(2, 1, 64, 0.125, 16, torch.float16),
    sliding_window=20,
    soft_cap=5.0,
    sinks=True,
    alibi=True,
)


def test_it_computes_where_its_arguments_are():
    """Whatever the default device is: on a GPU nothing it makes may lie elsewhere."""
    case = make_case(SPEC, [1, 3], [40, 3])
    expected = reference_paged_attention(*case.tensors, SPEC, **case.extras)
    with torch.device("meta"):
        found = reference_paged_attention(*case.tensors, SPEC, **case.extras)
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])
