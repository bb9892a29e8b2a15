"""Paged decode: a few query tokens per row over a long paged cache."""

import math

import torch

from kernels.paged_decode.kernel import paged_decode_kernel
from kernels.paged_decode.launch import (
    PLANNER_WORKERS,
    attention_constants,
    planner_constants,
)
from kernels.paged_decode.planner import planner_kernel
from kernels.paged_decode.workspace import DecodeWorkspace
from kernels.spec import UnsupportedAttentionError, e4m3_factor

LOG2E = math.log2(math.e)


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
    rows = _count_rows(workspace, seq_lens, query_start_loc)
    planner_kernel[(-(-workspace.workers // PLANNER_WORKERS),)](
        seq_lens,
        query_start_loc,
        workspace.share,
        workspace.row_tiles,
        workspace.worker_row,
        rows,
        workspace.workers,
        **planner_constants(workspace.spec, workspace.config),
    )


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
    rows = _count_rows(workspace, seq_lens, query_start_loc)
    if kv_cache.dtype == torch.float8_e4m3fn:
        kv_cache = kv_cache.view(torch.uint8)
    _check_tensors(workspace, q, kv_cache, block_table, out, lse)
    _check_per_head(workspace, sinks, alibi_slopes)
    spec, config = workspace.spec, workspace.config
    cache_factor = 1.0 if spec.kv_dtype == "same" else e4m3_factor(workspace.capability)
    paged_decode_kernel[(workspace.workers,)](
        q,
        kv_cache,
        block_table,
        seq_lens,
        query_start_loc,
        out,
        workspace.partial_stats if lse is None else lse,
        workspace.partial_stats if sinks is None else sinks,
        workspace.partial_stats if alibi_slopes is None else alibi_slopes,
        workspace.share,
        workspace.row_tiles,
        workspace.worker_row,
        workspace.partial_out,
        workspace.partial_stats,
        workspace.arrivals,
        rows,
        block_table.stride(0),
        q.stride(0),
        q.stride(1),
        out.stride(0),
        out.stride(1),
        kv_cache.stride(0),
        kv_cache.stride(1),
        kv_cache.stride(2),
        spec.scale * k_scale * cache_factor * LOG2E,
        v_scale * cache_factor,
        **attention_constants(
            spec,
            config,
            workspace.capability,
            max_query_len=workspace.max_query_len,
            lse=lse is not None,
        ),
        num_warps=config.num_warps,
    )


def _count_rows(
    workspace: DecodeWorkspace, seq_lens: torch.Tensor, query_start_loc: torch.Tensor
) -> int:
    """Rows of the step, once both tensors are what the kernels expect."""
    rows = seq_lens.shape[0]
    _require(rows <= workspace.max_rows, f"{rows} rows exceed max_rows {workspace.max_rows}")
    for name, tensor, length in (
        ("seq_lens", seq_lens, rows),
        ("query_start_loc", query_start_loc, rows + 1),
    ):
        fits = tensor.dtype == torch.int32 and tensor.shape == (length,)
        _require(fits and tensor.is_contiguous(), f"{name} must be int32 [{length}], contiguous")
    return rows


def _check_tensors(
    workspace: DecodeWorkspace,
    q: torch.Tensor,
    kv_cache: torch.Tensor,
    block_table: torch.Tensor,
    out: torch.Tensor,
    lse: torch.Tensor | None,
) -> None:
    """Shapes, dtypes and layouts of the big tensors."""
    spec = workspace.spec
    heads, dim = spec.num_q_heads, spec.head_dim
    for name, tensor in (("q", q), ("out", out)):
        fits = tensor.dtype == spec.dtype and tensor.shape[1:] == (heads, dim)
        _require(fits, f"{name} must be {spec.dtype} [tokens, {heads}, {dim}]")
        _require(_vectorises(tensor), f"{name} needs a last stride of 1 and others divisible by 16")
    _require(out.shape == q.shape, "out must have the shape of q")
    cache_shape = (spec.num_kv_heads, spec.block_size, 2 * dim)
    _require(kv_cache.shape[1:] == cache_shape, f"kv_cache must be [num_blocks, *{cache_shape}]")
    _require(kv_cache.dtype == spec.cache_dtype, f"kv_cache must be {spec.cache_dtype}")
    _require(_vectorises(kv_cache), "kv_cache needs a last stride of 1, others divisible by 16")
    fits = block_table.dtype == torch.int32 and block_table.stride(1) == 1
    _require(fits, "block_table must be int32 [rows, max_blocks] with a last stride of 1")
    if lse is not None:
        fits = lse.dtype == torch.float32 and lse.shape == q.shape[:2] and lse.is_contiguous()
        _require(fits, f"lse must be fp32 [{q.shape[0]}, {heads}], contiguous")


def _check_per_head(
    workspace: DecodeWorkspace, sinks: torch.Tensor | None, alibi_slopes: torch.Tensor | None
) -> None:
    """Sinks and slopes are given exactly when the spec says so."""
    spec = workspace.spec
    for name, tensor, wanted in (
        ("sinks", sinks, spec.sinks),
        ("alibi_slopes", alibi_slopes, spec.alibi),
    ):
        _require((tensor is not None) == wanted, f"{name} must be given exactly when the spec asks")
        if tensor is not None:
            fits = tensor.dtype == torch.float32 and tensor.shape == (spec.num_q_heads,)
            _require(fits, f"{name} must be fp32 [{spec.num_q_heads}]")


def _vectorises(tensor: torch.Tensor) -> bool:
    """Whether 16 neighbouring elements of the last axis always load as whole vectors."""
    return tensor.stride(-1) == 1 and all(stride % 16 == 0 for stride in tensor.stride()[:-1])


def _require(holds: bool, sentence: str) -> None:
    if not holds:
        raise UnsupportedAttentionError(sentence)
