"""Every compiled form that a GPU could be given keeps the memory busy and fits."""

from itertools import product

import pytest
import torch

from kernels.paged_decode.config import BYTES_AHEAD_MIN, SHARED_KB, choose_config
from kernels.spec import HEAD_DIMS, AttentionSpec


@pytest.mark.parametrize("capability", sorted(SHARED_KB))
def test_enough_bytes_are_ahead_and_shared_memory_holds_them(capability):
    """For every head dimension, cache type, group size and query length, on every GPU."""
    for head_dim, kv_dtype, group, query in product(
        HEAD_DIMS, ("same", "fp8_e4m3"), (1, 4, 8, 40), (1, 4, 16)
    ):
        spec = AttentionSpec(group, 1, head_dim, 0.1, 16, torch.bfloat16, kv_dtype=kv_dtype)
        config = choose_config(spec, query, capability)
        tile = config.block_n * 2 * spec.padded_head_dim * spec.cache_dtype.itemsize
        ahead = config.ctas_per_sm * (config.num_stages - 2) * tile
        shared = config.ctas_per_sm * (config.num_stages - 1) * tile
        assert ahead >= BYTES_AHEAD_MIN, (spec, query)
        assert shared <= SHARED_KB[capability] * 1024, (spec, query)
        assert config.m_tiles * config.block_m >= query * group


def test_the_form_does_not_depend_on_the_batch_invariant_mode():
    """The mode changes where rows are cut and nothing else."""
    spec = AttentionSpec(8, 2, 128, 0.1, 16, torch.bfloat16)
    balanced = choose_config(spec, 1, 90)
    invariant = choose_config(spec, 1, 90, batch_invariant=True)
    assert (balanced.block_m, balanced.block_n) == (invariant.block_m, invariant.block_n)
    assert invariant.batch_invariant
    assert not balanced.batch_invariant
