"""Paged decode: a few query tokens per row over a long paged cache."""

import torch

from kernels.arguments import check_attention_tensors, check_per_head, check_rows
from kernels.paged_decode.launch import Whole, launch_attention, launch_planner
from kernels.paged_decode.workspace import DecodeWorkspace


def plan_decode(
    workspace: DecodeWorkspace, seq_lens: torch.Tensor, query_start_loc: torch.Tensor
) -> None:
    """Plan one step on the device; every layer that shares the workspace then uses the plan.

    One small launch, no synchronisation: it may be captured in a CUDA graph, and a replay plans
    anew from what the two tensors hold then.

    Args:
        workspace: receives the plan.
        seq_lens: int32 `[rows]`, cached tokens of each row, the current query's included; 0 for
            graph padding.
        query_start_loc: int32 `[rows + 1]`, first query token of each row; padding rows repeat the
            last value. No row may have more than `workspace.max_query_len` query tokens.

    Raises:
        UnsupportedAttentionError: more rows than the workspace has room for.
    """
    check_rows(workspace.max_rows, seq_lens, query_start_loc)
    launch_planner(workspace, seq_lens, query_start_loc, Whole())


def paged_decode(
    q: torch.Tensor,
    kv_cache: torch.Tensor,
    block_table: torch.Tensor,
    seq_lens: torch.Tensor,
    query_start_loc: torch.Tensor,
    workspace: DecodeWorkspace,
    out: torch.Tensor,
    lse: torch.Tensor | None = None,
    *,
    k_scale: float = 1.0,
    v_scale: float = 1.0,
    sinks: torch.Tensor | None = None,
    alibi_slopes: torch.Tensor | None = None,
) -> None:
    """Causal attention of each row's last tokens over its pages, as `plan_decode` planned it.

    Flash-decoding (Dao et al., 2023) with shares cut as LeanAttention (Sanovar et al., 2024) does,
    partial results merged by whichever program finishes last. One launch, no synchronisation, no
    allocation. Within a row, the query tokens are the last of its `seq_lens` tokens.

    Args:
        q: `[tokens, Hq, D]` of the spec's dtype, last stride 1.
        kv_cache: `[num_blocks, Hkv, block, 2 * D]`, K first then V on the last axis, any strides
            that are multiples of 16 with a last stride of 1; of the spec's dtype, or uint8 (or
            float8_e4m3fn) for e4m3.
        block_table: int32 `[rows, max_blocks]`, page ids in token order; only entries of pages that
            hold visible tokens are read.
        seq_lens: int32 `[rows]`, the tensor that was planned.
        query_start_loc: int32 `[rows + 1]`, the tensor that was planned.
        workspace: allocated for this spec, holding this step's plan.
        out: `[tokens, Hq, D]`, last stride 1, written for each token of a row with cached tokens;
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
    launch_attention(
        workspace,
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
        role=Whole(),
    )
