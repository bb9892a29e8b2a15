"""Decode of rows that share leading pages: the prefix is read once for many of them."""

import torch

from kernels.arguments import check_attention_tensors, check_per_head, check_rows, require
from kernels.paged_decode.launch import launch_attention, launch_planner
from kernels.shared_prefix.launch import launch_grouping
from kernels.shared_prefix.workspace import SharedPrefixWorkspace


def plan_shared_prefix(
    workspace: SharedPrefixWorkspace,
    block_table: torch.Tensor,
    seq_lens: torch.Tensor,
    query_start_loc: torch.Tensor,
) -> None:
    """Group one step's rows and plan both passes, on the device, for all layers of the step.

    Five small launches, no synchronisation: they may be captured in a CUDA graph. `could_share`
    says from sizes alone when they, and the prefix pass, can only cost; decode such a step with
    `paged_decode`.

    Args:
        workspace: receives the plan.
        block_table: int32 `[rows, max_blocks]`, page ids in token order. Rows share a prefix where
            their leading ids are equal.
        seq_lens: int32 `[rows]`, cached tokens of each row, the current query's included; 0 for
            graph padding.
        query_start_loc: int32 `[rows + 1]`, first query token of each row; padding rows repeat the
            last value. No row may have more query tokens than the workspace was allocated for.

    Raises:
        UnsupportedAttentionError: more rows than the workspace has room for, or a wrong dtype.
    """
    check_rows(workspace.max_rows, seq_lens, query_start_loc)
    fits = block_table.dtype == torch.int32 and block_table.stride(1) == 1
    require(fits, "block_table must be int32 [rows, max_blocks] with a last stride of 1")
    launch_grouping(workspace, block_table, seq_lens, query_start_loc)
    rows = seq_lens.shape[0]
    launch_planner(
        workspace.prefix,
        workspace.prefix_lens[:rows],
        workspace.gathered_start_loc[: rows + 1],
        workspace.gathered,
    )
    launch_planner(workspace.suffix, seq_lens, query_start_loc, workspace.skipped)


def shared_prefix_decode(
    q: torch.Tensor,
    kv_cache: torch.Tensor,
    block_table: torch.Tensor,
    seq_lens: torch.Tensor,
    query_start_loc: torch.Tensor,
    workspace: SharedPrefixWorkspace,
    out: torch.Tensor,
    lse: torch.Tensor | None = None,
    *,
    k_scale: float = 1.0,
    v_scale: float = 1.0,
    sinks: torch.Tensor | None = None,
    alibi_slopes: torch.Tensor | None = None,
) -> None:
    """Causal attention of each row's last tokens, as `plan_shared_prefix` planned it.

    Cascade inference (Ye et al., 2024; Hydragen, Juravsky et al., 2024): one pass attends to each
    group's prefix with the query tokens of many rows in one tile, a second to the rest of each row,
    merging the first's result by log-sum-exp as it finishes. Two launches; the first finds nothing
    to do where the gate is closed. A row's bits depend on whom it shares with: for batch-invariant
    results use `paged_decode`.

    Args:
        q: `[tokens, Hq, D]` of the spec's dtype, last stride 1, other strides multiples of 16.
        kv_cache: `[num_blocks, Hkv, block, 2 * D]`, K first then V on the last axis, any strides
            that are multiples of 16 with a last stride of 1; of the spec's dtype, or uint8 (or
            float8_e4m3fn) for e4m3.
        block_table: int32 `[rows, max_blocks]`, the tensor that was planned.
        seq_lens: int32 `[rows]`, the tensor that was planned.
        query_start_loc: int32 `[rows + 1]`, the tensor that was planned.
        workspace: allocated for this spec, holding this step's plan.
        out: `[tokens, Hq, D]`, strides as `q`, written for each token of a row with cached tokens;
            other tokens are left alone.
        lse: None, or fp32 `[tokens, Hq]` contiguous: receives the log-sum-exp of the scores in
            log2 units, the sink's included.
        k_scale: what an e4m3 element of K is multiplied by.
        v_scale: the same for V.
        sinks: fp32 `[Hq]`, natural-log logits; given exactly when the spec has sinks.
        alibi_slopes: fp32 `[Hq]`; given exactly when the spec has ALiBi.

    Raises:
        UnsupportedAttentionError: an argument of the wrong shape, dtype or layout, by name.
    """
    check_rows(workspace.max_rows, seq_lens, query_start_loc)
    if kv_cache.dtype == torch.float8_e4m3fn:
        kv_cache = kv_cache.view(torch.uint8)
    check_attention_tensors(workspace.spec, q, kv_cache, block_table, out, lse)
    check_per_head(workspace.spec, sinks, alibi_slopes)
    room = workspace.skipped.prefix_lse.shape[0]
    require(q.shape[0] <= room, f"q has {q.shape[0]} tokens, more than the workspace's {room}")
    rows = seq_lens.shape[0]
    launch_attention(
        workspace.prefix,
        q,
        kv_cache,
        block_table,
        workspace.prefix_lens[:rows],
        workspace.gathered_start_loc[: rows + 1],
        workspace.skipped.prefix_out,
        workspace.skipped.prefix_lse,
        k_scale=k_scale,
        v_scale=v_scale,
        sinks=None,  # a sink joins the denominator once, in the second pass
        alibi_slopes=alibi_slopes,
        role=workspace.gathered,
    )
    launch_attention(
        workspace.suffix,
        q,
        kv_cache,
        block_table,
        seq_lens,
        query_start_loc,
        out,
        lse,
        k_scale=k_scale,
        v_scale=v_scale,
        sinks=sinks,
        alibi_slopes=alibi_slopes,
        role=workspace.skipped,
    )
