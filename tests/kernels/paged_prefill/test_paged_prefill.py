"""Paged prefill is within the error budget of plain PyTorch, whatever the shape or feature."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from hypothesis import given, note, settings
from hypothesis import strategies as st

from kernels.paged_prefill.api import paged_prefill
from kernels.paged_prefill.config import PrefillConfig, PrefillShape
from kernels.paged_prefill.planner import plan_prefill
from kernels.paged_prefill.reference import reference_paged_prefill
from kernels.spec import BLOCK_SIZES, INTERPRETER, AttentionSpec, UnsupportedAttentionError
from kernels.testing import assert_within_budget, make_case, poisoned_like

SMALL = AttentionSpec(4, 2, 64, 0.125, 16, torch.bfloat16)
PLAIN = PrefillConfig(
    specialised=False,
    block_m=32,
    block_n=32,
    packed=2,
    num_warps=4,
    num_stages=1,
    cut_budget=0,
    sm_count=4,
    piece_keys_min=32,
)
SPECIALISED = replace(PLAIN, specialised=True, block_m=64, block_n=64, packed=1, sm_count=3)
#: Lengths around page and tile edges: (query, cached) tokens of each row.
EDGES = [(1, 1), (0, 0), (16, 16), (17, 17), (31, 64), (33, 97), (5, 130)]


@pytest.fixture
def build(device):
    """`make_case` on the device under test."""
    return partial(make_case, device=device)


def shape_of(case):
    """What a host would know of a case."""
    return PrefillShape(
        tokens=case.q.shape[0],
        rows=len(case.seq_lens),
        max_query_len=case.max_query_len,
        max_seq_len=int(case.seq_lens.max()),
    )


def prefill(case, *, with_lse=True, capability=INTERPRETER, **options):
    """Run the kernel on a case; return outputs and log-sum-exps, poisoned before."""
    out, lse = poisoned_like(case.q)
    plan = plan_prefill(case.spec, *case.tensors[3:], shape_of(case), **options)
    plan = replace(plan, capability=capability)
    paged_prefill(case.layer(out, lse if with_lse else None), plan)
    return out.cpu(), lse.cpu()


def assert_right(case, **options):
    """Compare a case's output and log-sum-exp with the reference."""
    truth, truth_lse = reference_paged_prefill(*case.tensors, case.spec, **case.extras)
    plain, plain_lse = reference_paged_prefill(
        *case.tensors, case.spec, **case.extras, compute=case.spec.dtype
    )
    out, lse = prefill(case, **options)
    assert_within_budget(out, truth, plain)
    assert_within_budget(lse, truth_lse, plain_lse)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_lengths_around_page_and_tile_edges(dtype, build):
    """Rows of every shape share a step, a padding row among them."""
    spec = replace(SMALL, dtype=dtype)
    assert_right(build(spec, *zip(*EDGES, strict=True)))


@pytest.mark.parametrize("head_dim", [80, 96, 112, 128, 192, 256])
def test_head_dims(head_dim, build):
    """Head dims that are no power of two are padded, and the padding never leaks."""
    spec = replace(SMALL, num_q_heads=2, num_kv_heads=1, head_dim=head_dim, scale=head_dim**-0.5)
    assert_right(build(spec, [33, 2], [40, 50]))


@pytest.mark.parametrize(("heads", "kv_heads"), [(1, 1), (8, 1), (32, 1), (6, 2), (7, 1), (5, 5)])
def test_group_sizes(heads, kv_heads, build):
    """Heads are packed by the power of two that divides the group, down to one."""
    spec = replace(SMALL, num_q_heads=heads, num_kv_heads=kv_heads)
    assert_right(build(spec, [9, 3], [40, 33]))


@pytest.mark.parametrize("block_size", BLOCK_SIZES)
@pytest.mark.parametrize("layout", ["LBHNC", "LBNHC"])
def test_pages_and_layouts(block_size, layout, build):
    """Tiles gather several pages or lie within one, in both orders of the axes."""
    spec = replace(SMALL, block_size=block_size)
    assert_right(build(spec, [20, 1, 33], [90, 33, 33], layout=layout))


@pytest.mark.parametrize("window", [1, 16, 31, 32, 33, 100])
def test_windows_around_tile_edges(window, build):
    """Tiles begin at the window's first key; keys before it are never read."""
    assert_right(build(replace(SMALL, sliding_window=window), [40, 7], [100, 60]))


@pytest.mark.parametrize("feature", ["soft_cap", "sinks", "alibi", "all"])
def test_score_features(feature, build):
    """Each feature alone, then all of them over an fp8 cache with a window."""
    options = {"soft_cap": 5.0, "sinks": True, "alibi": True}
    chosen = options if feature == "all" else {feature: options[feature]}
    spec = replace(SMALL, **chosen)
    if feature == "all":
        spec = replace(spec, kv_dtype="fp8_e4m3", sliding_window=50)
    assert_right(build(spec, [20, 3], [70, 40], k_scale=0.5, v_scale=2.0))


@pytest.mark.parametrize("capability", [INTERPRETER, 90])
def test_fp8_cache(capability, build):
    """Bytes are decoded exactly, by hand or by hardware; scales reach scores and outputs."""
    spec = replace(SMALL, kv_dtype="fp8_e4m3")
    case = build(spec, [20, 3], [70, 40], k_scale=0.25, v_scale=4.0)
    assert_right(case, capability=capability)


@pytest.mark.parametrize("features", [{}, {"sinks": True}, {"sliding_window": 120}])
def test_cut_tiles_merge_to_the_same(features, build):
    """A long tile in pieces gives what it gives whole; its sink counts once."""
    case = build(replace(SMALL, **features), [3, 20], [400, 30])
    config = replace(PLAIN, cut_budget=5)
    plan = plan_prefill(case.spec, *case.tensors[3:], shape_of(case), config=config)
    assert plan.counts[1] > 0
    assert_right(case, config=config)


@pytest.mark.parametrize("layout", ["LBHNC", "LBNHC"])
@pytest.mark.parametrize(
    ("features", "cut_budget"),
    [
        ({}, 0),
        ({}, 4),
        ({"sliding_window": 70, "sinks": True}, 0),
        ({"soft_cap": 5.0, "alibi": True}, 3),
    ],
)
def test_the_specialised_path(layout, features, cut_budget, build):
    """Descriptors over the flattened cache, one head a tile, items dealt in a zigzag."""
    spec = replace(SMALL, block_size=64, **features)
    case = build(spec, [70, 33, 0], [200, 33, 0], layout=layout)
    case.kv_cache.nan_to_num_(nan=3.0)  # what `finite_cache` promises
    config = replace(SPECIALISED, cut_budget=cut_budget)
    plan = plan_prefill(case.spec, *case.tensors[3:], shape_of(case), config=config)
    assert (plan.counts[1] > 0) == (cut_budget > 0)
    assert_right(case, config=config)


def test_short_rows_are_left_alone(build):
    """Rows below `min_query_len` belong to another kernel: their outputs stay as they were."""
    case = build(SMALL, [2, 20, 1], [30, 20, 9])
    out, lse = prefill(case, min_query_len=3)
    assert out[:2].isnan().all()
    assert out[22:].isnan().all()
    assert lse[2:22].isfinite().all()
    truth, _ = reference_paged_prefill(*case.tensors, SMALL)
    plain, _ = reference_paged_prefill(*case.tensors, SMALL, compute=SMALL.dtype)
    assert_within_budget(out[2:22], truth[2:22], plain[2:22])


def test_batch_invariance_is_bitwise(build):
    """A row's bits are the same alone, in company, and in another order."""
    lengths = [(20, 70), (3, 300), (33, 33)]
    case = build(SMALL, *zip(*lengths, strict=True))
    out, _ = prefill(case, batch_invariant=True)
    starts = case.query_start_loc.tolist()
    for order in ([0], [2, 0], [1, 2, 0]):
        q = torch.cat([case.q[starts[row] : starts[row + 1]] for row in order])
        sizes = [0, *(lengths[row][0] for row in order)]
        other = replace(
            case,
            q=q,
            block_table=case.block_table[order],
            seq_lens=case.seq_lens[order],
            query_start_loc=torch.tensor(sizes, device=case.q.device).cumsum(0).to(torch.int32),
        )
        again, _ = prefill(other, batch_invariant=True)
        at = other.query_start_loc.tolist()
        for index, row in enumerate(order):
            mine = out[starts[row] : starts[row + 1]]
            assert torch.equal(again[at[index] : at[index + 1]], mine)


def test_no_query_at_all(build):
    """A step of padding launches nothing and writes nothing."""
    case = build(SMALL, [0, 0], [0, 0])
    assert prefill(case, with_lse=False)[0].shape[0] == 0


@pytest.mark.parametrize("argument", ["q", "out", "kv_cache", "block_table", "lse", "sinks"])
def test_a_refusal_names_its_argument(argument, build):
    """A tensor that does not fit is named before anything is launched."""
    case = build(SMALL, [4], [20])
    out, lse = poisoned_like(case.q)
    plan = plan_prefill(SMALL, *case.tensors[3:], shape_of(case))
    wrong = {
        "q": case.q.float(),
        "out": out[:, :1],
        "kv_cache": case.kv_cache[..., :64],
        "block_table": case.block_table.long(),
        "lse": lse.double(),
        "sinks": torch.zeros(4),
    }
    with pytest.raises(UnsupportedAttentionError, match=argument):
        paged_prefill(replace(case.layer(out, lse), **{argument: wrong[argument]}), plan)


@settings(max_examples=8, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(1, 40), st.integers(0, 150)), min_size=1, max_size=4),
    spec=st.builds(
        replace,
        st.just(SMALL),
        head_dim=st.sampled_from([64, 80, 112, 192]),
        block_size=st.sampled_from([16, 64]),
        sliding_window=st.sampled_from([0, 31]),
        soft_cap=st.sampled_from([0.0, 5.0]),
        sinks=st.booleans(),
        alibi=st.booleans(),
        kv_dtype=st.sampled_from(["same", "fp8_e4m3"]),
    ),
    cut_budget=st.sampled_from([0, 3]),
    seed=st.integers(0, 99),
)
def test_random_steps(rows, spec, cut_budget, seed):
    """Lengths, features and cuts combine freely."""
    note(f"seed {seed}")
    queries = [query for query, _ in rows]
    lengths = [query + before for query, before in rows]
    case = make_case(spec, queries, lengths, seed=seed, k_scale=0.5, v_scale=2.0)
    assert_right(case, config=replace(PLAIN, cut_budget=cut_budget))


@pytest.mark.slow
@pytest.mark.parametrize("group", [1, 2, 3, 4, 8, 16, 32])
@pytest.mark.parametrize("tokens", [1, 63, 64, 65, 127, 128, 129])
def test_every_query_length_and_group(tokens, group, build):
    """Query lengths around the GPU's tiles, groups from one head to thirty-two."""
    spec = replace(SMALL, num_q_heads=group, num_kv_heads=1)
    assert_right(build(spec, [tokens, 3], [tokens + 70, 3]))
