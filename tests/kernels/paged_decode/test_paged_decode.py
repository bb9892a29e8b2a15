"""Paged decode is as accurate as plain PyTorch in the same precision, on every edge."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, note, settings
from hypothesis import strategies as st

from kernels.paged_decode import allocate_workspace
from kernels.spec import BLOCK_SIZES, HEAD_DIMS, AttentionSpec
from kernels.testing import assert_within_budget, make_case, reference_paged_attention

BASE = AttentionSpec(4, 2, 64, 0.125, 16, torch.bfloat16)
TILE = 128  # KV tokens of a tile at head_dim 64


def check(case, result):
    """Compare output and log-sum-exp of a case that ran with the reference."""
    out, lse = result
    truth, true_lse = reference_paged_attention(*case.tensors, case.spec, **case.extras)
    plain, plain_lse = reference_paged_attention(
        *case.tensors, case.spec, **case.extras, compute=case.spec.dtype
    )
    assert_within_budget(out, truth, plain)
    assert_within_budget(lse, true_lse, plain_lse)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("layout", ["LBHNC", "LBNHC"])
def test_contexts_around_page_and_tile_edges(dtype, layout, device, decode):
    """Rows end one before, at and one after an edge; the slots behind them are NaN."""
    lengths = [1, 15, 16, 17, TILE - 1, TILE, TILE + 1, 2 * TILE + 1]
    case = make_case(
        replace(BASE, dtype=dtype), [1] * len(lengths), lengths, layout=layout, device=device
    )
    check(case, decode(case))


@pytest.mark.parametrize(
    ("head_dim", "q_heads", "kv_heads"),
    [(64, 32, 1), (80, 2, 2), (96, 6, 2), (112, 5, 1), (128, 14, 2), (192, 8, 1), (256, 8, 2)],
)
def test_head_dims_and_group_sizes(head_dim, q_heads, kv_heads, device, decode):
    """Head dimensions that are no power of two are padded, odd groups fill part of a tile."""
    assert head_dim in HEAD_DIMS
    spec = AttentionSpec(q_heads, kv_heads, head_dim, head_dim**-0.5, 16, torch.bfloat16)
    case = make_case(spec, [1, 1], [150, 33], device=device)
    check(case, decode(case))


@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_page_sizes(block_size, device, decode):
    """Pages smaller than a tile are gathered; pages larger than a tile are read in parts."""
    spec = replace(BASE, block_size=block_size)
    case = make_case(spec, [1, 2], [300, 2 * block_size + 1], device=device)
    check(case, decode(case))


@pytest.mark.parametrize("query_lens", [[1, 3, 8], [16, 2, 1], [33, 1, 5]])
@pytest.mark.parametrize("group", [1, 3])
def test_several_query_tokens_a_row(query_lens, group, device, decode):
    """Speculative decoding: each token sees the ones before it, whatever tile it is packed in."""
    spec = replace(BASE, num_q_heads=2 * group)
    case = make_case(spec, query_lens, [length + 40 for length in query_lens], device=device)
    check(case, decode(case))


def test_a_row_that_is_all_query(device, decode):
    """The first query token sees only itself."""
    case = make_case(BASE, [7, 1], [7, 1], device=device)
    check(case, decode(case))


@pytest.mark.parametrize("window", [1, TILE - 1, TILE, TILE + 1, 2 * TILE])
def test_windows_around_tile_edges(window, device, decode):
    """Tokens before the window are not read, so freed pages may hold NaN."""
    spec = replace(BASE, sliding_window=window)
    case = make_case(spec, [1, 3, 1], [400, 3 * TILE, 5], device=device)
    first_seen = 400 - window  # of row 0, whose earlier pages are poisoned as if freed
    for index in range(first_seen // spec.block_size):
        case.kv_cache[case.block_table[0, index].item()] = float("nan")
    out, lse = decode(case)
    for index in range(first_seen // spec.block_size):
        case.kv_cache[case.block_table[0, index].item()] = 0.0  # 0 * NaN in the reference
    check(case, (out, lse))


@pytest.mark.parametrize(
    "features",
    [
        {"soft_cap": 5.0},
        {"sinks": True},
        {"alibi": True},
        {"soft_cap": 20.0, "sinks": True, "alibi": True, "sliding_window": 100},
    ],
)
def test_features(features, device, decode):
    """Alone and all together, with split and whole rows."""
    case = make_case(replace(BASE, **features), [1, 4, 1], [300, 290, 1], device=device)
    check(case, decode(case))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_fp8_cache_with_scales(dtype, device, decode):
    """K and V have scales of their own, neither of them 1."""
    spec = replace(BASE, dtype=dtype, kv_dtype="fp8_e4m3")
    case = make_case(spec, [1, 2], [300, 65], k_scale=0.5, v_scale=3.0, device=device)
    check(case, decode(case))


def test_queries_beyond_the_range_of_fp16_with_an_fp8_cache(device, decode):
    """bf16 queries are scaled into fp16 by row; the scores come out as if they were not."""
    spec = replace(BASE, kv_dtype="fp8_e4m3", scale=1e-7)
    case = make_case(spec, [1, 1, 1], [80, 40, 20], device=device)
    case.q.mul_(torch.tensor([1e7, 1e-30, 1.0], device=device).view(3, 1, 1))
    check(case, decode(case))


def test_graph_padding_and_shared_pages(device, decode):
    """Rows of length zero, at the end or between others, write nothing."""
    case = make_case(BASE, [1, 0, 1, 1, 0], [70, 0, 100, 64, 0], shared_blocks=2, device=device)
    padded_q = torch.cat([case.q, torch.full_like(case.q[:2], float("nan"))])
    padded = replace(case, q=padded_q)
    out, lse = decode(padded)
    assert out[3:].isnan().all()
    assert lse[3:].isnan().all()
    check(case, (out[:3], lse[:3]))


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_any_number_of_programs_gives_the_answer(workers, device, decode):
    """One program walks everything; many split every row."""
    case = make_case(BASE, [1, 1, 1], [900, 1, 500], device=device)
    check(case, decode(case, workers=workers))


def test_a_workspace_serves_step_after_step(device, decode):
    """Its counters are back at zero, so a later step, longer or shorter, is right again."""
    workspace = allocate_workspace(BASE, 4, 3, device=device, workers=5)
    for seed, (query_lens, lengths) in enumerate(
        [([1, 1], [400, 300]), ([3, 1, 2, 1], [40, 700, 9, 130]), ([1], [1])]
    ):
        case = make_case(BASE, query_lens, lengths, seed=seed, device=device)
        check(case, decode(case, workspace))


def layer(group, num_kv_heads, **rest):
    """A spec by the query heads of a KV head."""
    return AttentionSpec(group * num_kv_heads, num_kv_heads, **rest)


def any_query(rows):
    """Whether the step is more than graph padding."""
    return any(query for query, _ in rows)


row = st.tuples(st.integers(1, 5), st.integers(0, 300)).map(lambda row: (row[0], sum(row)))
rows = st.lists(row | st.just((0, 0)), min_size=1, max_size=4).filter(any_query)
specs = st.builds(
    layer,
    group=st.sampled_from([1, 3, 7]),
    num_kv_heads=st.sampled_from([1, 2]),
    head_dim=st.sampled_from(HEAD_DIMS),
    scale=st.floats(0.05, 0.3),
    block_size=st.sampled_from([16, 64, 256]),
    dtype=st.sampled_from([torch.float16, torch.bfloat16]),
    kv_dtype=st.sampled_from(["same", "fp8_e4m3"]),
    sliding_window=st.sampled_from([0, 1, 50, 128]),
    soft_cap=st.sampled_from([0.0, 15.0]),
    sinks=st.booleans(),
    alibi=st.booleans(),
)


@settings(max_examples=12, deadline=None)
@given(specs, rows, st.integers(1, 6), st.booleans(), st.integers(0, 2**32 - 1))
def test_random_cases(device, decode, spec, lengths, workers, invariant, seed):
    """Whatever combination of features, lengths and programs comes up."""
    note(f"seed {seed}")
    query_lens, seq_lens = zip(*lengths, strict=True)
    case = make_case(spec, query_lens, seq_lens, seed=seed, layout="LBNHC", device=device)
    check(case, decode(case, workers=workers, batch_invariant=invariant))
