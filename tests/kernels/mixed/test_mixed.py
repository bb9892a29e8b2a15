"""A mixed step computes every row right, each by the kernel that suits it."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, note, settings
from hypothesis import strategies as st

from kernels.mixed import StepShape, mixed_attention, plan_mixed
from kernels.mixed.reference import reference_paged_attention
from kernels.paged_decode import allocate_workspace
from kernels.shared_prefix import allocate_shared_workspace
from kernels.spec import AttentionSpec, UnsupportedAttentionError
from kernels.testing import assert_within_budget, make_case, poisoned_like

SMALL = AttentionSpec(4, 2, 64, 0.125, 16, torch.bfloat16)


def plan_of(case, *, limit=1, batch_invariant=False):
    """The plan of a case, whose decode rows have up to `limit` query tokens."""
    workspace = allocate_workspace(
        case.spec,
        len(case.seq_lens),
        limit,
        batch_invariant=batch_invariant,
        device=case.q.device,
        workers=4,
    )
    lengths = case.query_start_loc.diff()
    shape = StepShape(
        tokens=case.q.shape[0],
        rows=len(case.seq_lens),
        min_query_len=int(lengths[lengths > 0].min()),
        max_query_len=case.max_query_len,
        max_seq_len=int(case.seq_lens.max()),
    )
    return plan_mixed(workspace, *case.tensors[2:], shape)


def attend(case, plan):
    """Outputs and log-sum-exps of a planned case, poisoned before."""
    out, lse = poisoned_like(case.q)
    mixed_attention(case.layer(out, lse), plan)
    return out, lse


def assert_right(case, plan):
    """Compare a case with the reference."""
    truth, truth_lse = reference_paged_attention(*case.tensors, case.spec, **case.extras)
    plain, plain_lse = reference_paged_attention(
        *case.tensors, case.spec, **case.extras, compute=case.spec.dtype
    )
    out, lse = attend(case, plan)
    assert_within_budget(out, truth, plain)
    assert_within_budget(lse, truth_lse, plain_lse)


@pytest.mark.parametrize("limit", [1, 4])
def test_rows_in_any_order(limit):
    """Decode rows, drafts and prompts stand between each other, padding at the end."""
    case = make_case(SMALL, [1, 40, 1, 4, 33, 1, 0], [90, 40, 17, 60, 97, 1, 0])
    plan = plan_of(case, limit=limit)
    assert plan.decode is not None
    assert plan.prefill is not None
    assert_right(case, plan)


@settings(max_examples=8, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from([1, 2, 3, 17, 34]), st.integers(0, 130)), min_size=1, max_size=5
    ),
    limit=st.sampled_from([1, 2]),
    features=st.sampled_from([{}, {"sinks": True, "sliding_window": 20}, {"kv_dtype": "fp8_e4m3"}]),
    seed=st.integers(0, 99),
)
def test_random_steps(rows, limit, features, seed):
    """Whatever the lengths, every token is written once, by one kernel or the other."""
    note(f"seed {seed}")
    queries = [query for query, _ in rows]
    lengths = [query + before for query, before in rows]
    case = make_case(replace(SMALL, **features), queries, lengths, seed=seed)
    assert_right(case, plan_of(case, limit=limit))


def test_decode_rows_share_a_prefix_beside_prompts():
    """Their tokens stand anywhere in the step; prompts with the same pages are no part of it."""
    queries = [1, 40, *(1 for _ in range(8)), 17, 0]
    lengths = [280, 310, *(260 + row for row in range(8)), 273, 0]
    case = make_case(SMALL, queries, lengths, shared_blocks=16)
    workspace = allocate_shared_workspace(SMALL, 16, overhead_bytes=0, device="cpu", workers=3)
    shape = StepShape(sum(queries), len(queries), 1, max(queries), max(lengths))
    plan = plan_mixed(workspace, *case.tensors[2:], shape)
    skipped = workspace.skipped.skip_lens[: len(queries)].tolist()
    assert [skip > 0 for skip in skipped] == [query == 1 for query in queries]
    assert_right(case, plan)


def test_a_step_of_one_kind_launches_one_kernel():
    """The host's bounds alone rule the other kernel out."""
    decode_only = plan_of(make_case(SMALL, [1, 1], [20, 30]))
    assert decode_only.prefill is None
    prompts_only = plan_of(make_case(SMALL, [20, 9], [20, 30]))
    assert prompts_only.decode is None


def test_batch_invariance_covers_both_kernels():
    """A decode row's and a prompt's bits do not depend on who shares the step."""
    case = make_case(SMALL, [1, 35], [70, 90])
    out, _ = attend(case, plan_of(case, batch_invariant=True))
    for row, tokens in ((0, slice(0, 1)), (1, slice(1, 36))):
        alone = replace(
            case,
            q=case.q[tokens],
            block_table=case.block_table[row : row + 1],
            seq_lens=case.seq_lens[row : row + 1],
            query_start_loc=torch.tensor([0, tokens.stop - tokens.start], dtype=torch.int32),
        )
        again, _ = attend(alone, plan_of(alone, batch_invariant=True))
        assert torch.equal(again, out[tokens])


def test_a_step_of_another_size_is_refused():
    """The host's row count and the tensors' must agree."""
    case = make_case(SMALL, [1], [20])
    workspace = allocate_workspace(SMALL, 4, 1, device="cpu", workers=4)
    with pytest.raises(UnsupportedAttentionError, match="seq_lens"):
        plan_mixed(workspace, *case.tensors[2:], StepShape(1, 2, 1, 1, 20))
