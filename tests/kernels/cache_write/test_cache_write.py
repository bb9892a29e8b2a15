"""The cache writer stores every token where it belongs, and nothing anywhere else."""

import math

import pytest
import torch
from hypothesis import given, note, settings
from hypothesis import strategies as st

from kernels.cache_write import Rotary, cache_write, rope_cache_write
from kernels.cache_write.reference import reference_cache_write, reference_rope
from kernels.spec import BLOCK_SIZES, HEAD_DIMS, UnsupportedAttentionError
from kernels.testing import assert_within_budget

HEADS = 2


def empty_cache(dtype, head_dim, block=16, pages=6, layout="LBHNC"):
    """A cache of nothing but NaN (the byte 0x7f in e4m3), heads outside or inside the tokens."""
    poison = 0x7F if dtype == torch.uint8 else math.nan
    axes = (pages, HEADS, block) if layout == "LBHNC" else (pages, block, HEADS)
    cache = torch.full((*axes, 2 * head_dim), poison, dtype=dtype)
    return cache if layout == "LBHNC" else cache.transpose(1, 2)


def some_slots(rng, tokens, slots, holes=0):
    """Distinct slots in random order, -1 in `holes` places."""
    chosen = torch.randperm(slots, generator=rng)[:tokens]
    chosen[torch.randperm(tokens, generator=rng)[:holes]] = -1
    return chosen


def same(left, right):
    """Bitwise equal, NaN included."""
    return torch.equal(left.contiguous().view(torch.uint8), right.contiguous().view(torch.uint8))


@settings(max_examples=20, deadline=None)
@given(
    head_dim=st.sampled_from(HEAD_DIMS),
    block=st.sampled_from(BLOCK_SIZES),
    layout=st.sampled_from(["LBHNC", "LBNHC"]),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
    fp8=st.booleans(),
    tokens=st.integers(0, 70),
    seed=st.integers(0, 999),
)
def test_every_token_lands_in_its_slot(head_dim, block, layout, dtype, fp8, tokens, seed):
    """All else stays as it was: other slots, tokens of slot -1, padding behind the slots."""
    note(f"seed {seed}")
    rng = torch.Generator().manual_seed(seed)
    key, value = torch.randn(2, tokens + 3, HEADS, head_dim, generator=rng).to(dtype)
    slots = some_slots(rng, tokens, 6 * block, holes=tokens // 8)
    scales = {"k_scale": 0.37, "v_scale": 2.5} if fp8 else {}
    cache = empty_cache(torch.uint8 if fp8 else dtype, head_dim, block, layout=layout)
    expected = cache.clone()
    reference_cache_write(key, value, expected, slots, **scales)
    cache_write(key, value, cache, slots, **scales)
    assert same(cache, expected)


def test_keys_may_be_slices_of_a_bigger_tensor():
    """An engine passes views of one projection's output."""
    rng = torch.Generator().manual_seed(1)
    both = torch.randn(9, 3, 2 * HEADS, 64, generator=rng)
    key, value = both[:, 1, :HEADS], both[:, 1, HEADS:]
    slots = some_slots(rng, 9, 96).to(torch.int32)
    cache, expected = empty_cache(torch.float32, 64), empty_cache(torch.float32, 64)
    reference_cache_write(key, value, expected, slots)
    cache_write(key, value, cache, slots)
    assert same(cache, expected)


def test_fp8_rounds_every_half_precision_number_as_pytorch_does():
    """All 65,536 of them: subnormals, ties, saturation, signs; NaN becomes 0."""
    numbers = torch.arange(-(2**15), 2**15, dtype=torch.int16).view(torch.float16)
    key = numbers.view(-1, HEADS, 256)
    tokens = key.shape[0]
    cache = empty_cache(torch.uint8, 256, pages=-(-tokens // 16))
    cache_write(key, -key, cache, torch.arange(tokens))
    stored = cache.transpose(1, 2).reshape(-1, HEADS, 512)[:tokens]
    finite = torch.nan_to_num(key.float(), nan=0.0).clamp(-448, 448)
    wanted = finite.to(torch.float8_e4m3fn).view(torch.uint8)
    assert torch.equal(stored[..., :256] & 0x7F, wanted & 0x7F)
    signs = key.isfinite() & (key != 0)
    assert torch.equal(stored[..., :256][signs], wanted[signs])
    assert torch.equal(stored[..., 256:][signs], wanted[signs] ^ 0x80)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_what_is_written_is_finite(dtype):
    """A sequence that overflowed leaves pages that the next owner can use uncleared."""
    key = torch.tensor([math.inf, -math.inf, math.nan, 1.0]).to(dtype).repeat(1, HEADS, 16)
    cache = empty_cache(dtype, 64)
    cache_write(key, key, cache, torch.tensor([5]))
    largest = torch.finfo(dtype).max
    assert cache[0, 0, 5, :4].tolist() == [largest, -largest, 0.0, 1.0]


@settings(max_examples=20, deadline=None)
@given(
    head_dim=st.sampled_from(HEAD_DIMS),
    part=st.sampled_from([1.0, 0.5]),
    neox=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float16, torch.bfloat16]),
    group=st.sampled_from([1, 3]),
    in_place=st.booleans(),
    seed=st.integers(0, 999),
)
def test_rope_turns_q_and_k(head_dim, part, neox, dtype, group, in_place, seed):
    """Within the error budget of PyTorch in the same precision; V is copied."""
    note(f"seed {seed}")
    rng = torch.Generator().manual_seed(seed)
    tokens = 11
    q = torch.randn(tokens, HEADS * group, head_dim, generator=rng).to(dtype)
    key, value = torch.randn(2, tokens, HEADS, head_dim, generator=rng).to(dtype)
    angles = torch.rand(50, int(head_dim * part) // 2, generator=rng) * 7
    rotary = Rotary(torch.cat([angles.cos(), angles.sin()], dim=1).to(dtype), neox)
    positions = torch.randint(50, (tokens,), generator=rng)
    slots = some_slots(rng, tokens, 96, holes=2)
    cache, given_q = empty_cache(dtype, head_dim), q.clone()
    q_out = given_q if in_place else torch.full_like(q, math.nan)
    rope_cache_write(given_q, key, value, cache, slots, positions, rotary, q_out)
    written = slots >= 0
    rows = cache.transpose(1, 2).reshape(96, HEADS, 2 * head_dim)
    stored = rows[slots[written]]
    for actual, x, at in (
        (q_out, q, positions),
        (stored[..., :head_dim], key[written], positions[written]),
    ):
        truth = reference_rope(x, at, rotary)
        assert_within_budget(actual, truth, reference_rope(x, at, rotary, dtype))
    assert torch.equal(stored[..., head_dim:], value[written])
    untouched = torch.ones(96, dtype=torch.bool)
    untouched[slots[written]] = False
    assert rows[untouched].isnan().all()


def good():
    """Arguments that are accepted."""
    return {
        "key": torch.zeros(3, HEADS, 64),
        "value": torch.zeros(3, HEADS, 64),
        "kv_cache": torch.zeros(2, HEADS, 16, 128),
        "slot_mapping": torch.tensor([0, -1, 7]),
    }


@pytest.mark.parametrize(
    ("argument", "bad"),
    [
        ("key", torch.zeros(3, HEADS, 72)),
        ("key", torch.zeros(3, HEADS, 64, dtype=torch.float64)),
        ("value", torch.zeros(3, 1, 64)),
        ("kv_cache", torch.zeros(2, HEADS, 16, 64)),
        ("kv_cache", torch.zeros(2, HEADS, 24, 128)),
        ("kv_cache", torch.zeros(2, HEADS, 16, 128, dtype=torch.float16)),
        ("slot_mapping", torch.zeros(4, dtype=torch.int64)),
        ("slot_mapping", torch.zeros(3)),
        ("k_scale", 0.0),
    ],
)
def test_a_refusal_names_its_argument(argument, bad):
    cache_write(**good())
    with pytest.raises(UnsupportedAttentionError, match=argument):
        cache_write(**good() | {argument: bad})
