"""The compiled form follows from the layer, the step's bounds and the device, and nothing else."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kernels.paged_prefill.config import PrefillShape, choose_config
from kernels.spec import HEAD_DIMS, AttentionSpec

LLAMA = AttentionSpec(32, 8, 128, 128**-0.5, 128, torch.bfloat16)
PROMPT = PrefillShape(tokens=8192, rows=1, max_query_len=8192, max_seq_len=8192)
CHUNK = PrefillShape(tokens=64, rows=1, max_query_len=64, max_seq_len=131072)


def config_of(spec=LLAMA, shape=PROMPT, capability=90, **options):
    """The choice on a GPU of 132 multiprocessors."""
    return choose_config(spec, shape, capability, sm_count=132, **options)


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.parametrize("head_dim", HEAD_DIMS)
def test_query_tiles_are_tall(capability, head_dim):
    """Never the 16 rows of a decode kernel, whatever the layer."""
    spec = replace(LLAMA, head_dim=head_dim, block_size=16)
    assert config_of(spec, capability=capability).block_m >= 64


def test_the_specialised_path_is_asked_for_and_fits():
    """It takes the caller's promise, a Hopper GPU, a long query and a layer it computes."""
    assert config_of(finite_cache=True).specialised
    assert not config_of().specialised
    assert not config_of(finite_cache=True, capability=80).specialised
    assert not config_of(finite_cache=True, capability=100).specialised
    assert not config_of(finite_cache=True, shape=CHUNK).specialised
    for change in ({"block_size": 32}, {"head_dim": 96}, {"kv_dtype": "fp8_e4m3"}):
        assert not config_of(replace(LLAMA, **change), finite_cache=True).specialised


def test_bounds_alone_rule_cuts_out():
    """A prompt's own tiles share the work; a short chunk far into a context does not."""
    assert config_of().cut_budget == 0
    assert config_of(shape=CHUNK).cut_budget > 0
    assert config_of(shape=replace(CHUNK, max_seq_len=1000)).cut_budget == 0


@given(
    tokens=st.integers(1, 30000),
    rows=st.integers(1, 200),
    longest=st.integers(1, 30000),
    finite_cache=st.booleans(),
)
def test_batch_invariance_ignores_the_step(tokens, rows, longest, finite_cache):
    """The same layer gets the same form in every step, and nothing is cut."""
    shape = PrefillShape(tokens, rows, min(tokens, longest), longest)
    options = {"finite_cache": finite_cache, "batch_invariant": True}
    assert config_of(shape=shape, **options) == config_of(**options)
    assert config_of(**options).cut_budget == 0
