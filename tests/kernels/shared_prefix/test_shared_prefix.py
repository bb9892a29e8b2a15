"""Shared-prefix decode is as accurate as plain PyTorch, whoever shares with whom."""

from dataclasses import replace

import pytest
import torch

from kernels.shared_prefix import (
    allocate_shared_workspace,
    could_share,
    plan_shared_prefix,
    shared_prefix_decode,
)
from kernels.spec import AttentionSpec, UnsupportedAttentionError
from kernels.testing import (
    assert_within_budget,
    make_case,
    poisoned_like,
    reference_paged_attention,
)

SPEC = AttentionSpec(4, 1, 64, 0.125, 16, torch.bfloat16)


def decode(case, workspace):
    """Plan and decode on poisoned outputs."""
    out, lse = poisoned_like(case.q)
    plan_shared_prefix(workspace, case.block_table, case.seq_lens, case.query_start_loc)
    shared_prefix_decode(case.layer(out, lse), *case.tensors[3:], workspace)
    assert not workspace.suffix.arrivals.any()
    assert not workspace.prefix.arrivals.any()
    return out.cpu(), lse.cpu()


def check(case, result):
    """Compare output and log-sum-exp with the reference."""
    truth, true_lse = reference_paged_attention(*case.tensors, case.spec, **case.extras)
    plain, plain_lse = reference_paged_attention(
        *case.tensors, case.spec, **case.extras, compute=case.spec.dtype
    )
    assert_within_budget(result[0], truth, plain)
    assert_within_budget(result[1], true_lse, plain_lse)


def workspace_for(case, device, workers=3):
    """One whose gate is open to anything that saves a byte."""
    return allocate_shared_workspace(
        case.spec, 20, case.max_query_len, overhead_bytes=0, device=device, workers=workers
    )


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"dtype": torch.float16, "block_size": 128},
        {"kv_dtype": "fp8_e4m3"},
        {"sinks": True, "soft_cap": 20.0},
        {"alibi": True},
        {"head_dim": 192, "num_q_heads": 2},
        {"num_q_heads": 6, "num_kv_heads": 2},
    ],
)
def test_sharing_rows_have_the_reference_answer(change, device):
    """Nine rows share 256 tokens, one shares nothing, and both passes have work."""
    spec = replace(SPEC, **change)
    lengths = [270, 300, 257, 400, 280, 290, 265, 330, 258, 40]
    case = make_case(
        spec,
        [1] * 10,
        lengths,
        shared_blocks=256 // spec.block_size,
        k_scale=0.5,
        v_scale=2.0,
        device=device,
    )
    workspace = workspace_for(case, device)
    result = decode(case, workspace)
    assert workspace.skipped.skip_lens[:10].tolist() == [256] * 9 + [0]
    check(case, result)


def test_several_query_tokens_and_more_rows_than_a_tile_holds(device):
    """Groups of 8 query heads with 2 tokens fit 4 rows to a tile; padding is in none."""
    spec = replace(SPEC, num_q_heads=8)
    query_lens = [2, 1, 2, 2, 0, 1, 1, 2, 2, 1, 0]
    lengths = [length and 256 + 20 * length for length in query_lens]
    case = make_case(spec, query_lens, lengths, shared_blocks=16, device=device)
    workspace = workspace_for(case, device)
    result = decode(case, workspace)
    assert (workspace.prefix_lens > 0).sum() == 3
    check(case, result)


def test_a_closed_gate_is_plain_decode(device):
    """By default nine short rows save less than a pass costs; nothing is skipped."""
    case = make_case(SPEC, [1] * 9, [270] * 9, shared_blocks=16, device=device)
    workspace = allocate_shared_workspace(SPEC, 9, device=device, workers=3)
    result = decode(case, workspace)
    assert not workspace.skipped.skip_lens.any()
    check(case, result)


def test_a_workspace_forgets_the_step_before(device):
    """A step that shares, a step that does not, and a smaller one that shares again."""
    shared = make_case(SPEC, [1] * 9, [280] * 9, shared_blocks=16, device=device)
    apart = make_case(SPEC, [1] * 4, [300, 20, 30, 40], seed=1, device=device)
    fewer = make_case(SPEC, [1] * 8, [300] * 8, seed=2, shared_blocks=17, device=device)
    workspace = workspace_for(shared, device)
    for case in (shared, apart, fewer):
        check(case, decode(case, workspace))


def test_the_prefix_is_read_from_one_rows_pages(device):
    """Other rows' table entries for the prefix are not followed once groups are formed."""
    case = make_case(SPEC, [1] * 9, [280] * 9, shared_blocks=16, device=device)
    workspace = workspace_for(case, device)
    out, lse = poisoned_like(case.q)
    plan_shared_prefix(workspace, case.block_table, case.seq_lens, case.query_start_loc)
    misled = case.block_table.clone()
    misled[1:, :16] = case.block_table[0, -1]  # a page full of NaN
    tensors = replace(case.layer(out, lse), block_table=misled)
    shared_prefix_decode(tensors, case.seq_lens, case.query_start_loc, workspace)
    check(case, (out.cpu(), lse.cpu()))


@pytest.mark.parametrize(
    ("change", "name"),
    [({"sliding_window": 100}, "sliding_window"), ({"num_q_heads": 64}, "max_query_len")],
)
def test_what_cannot_share_is_refused_by_name(change, name, device):
    """Before any memory is allocated for it."""
    with pytest.raises(UnsupportedAttentionError, match=name):
        allocate_shared_workspace(replace(SPEC, **change), 8, device=device)


def test_sizes_alone_can_close_the_gate():
    """Few rows or short ones need no plan."""
    assert could_share(8, 257)
    assert not could_share(7, 10_000)
    assert not could_share(100, 256)
