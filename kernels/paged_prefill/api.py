"""Paged prefill: many query tokens a row, prompts and chunks of prompts, over a paged cache."""

import math

import torch
import triton

from kernels.arguments import check_attention_tensors, check_per_head, require
from kernels.paged_prefill.cache_view import flatten_cache
from kernels.paged_prefill.constants import (
    MERGE_ROWS,
    attention_constants,
    launch_options,
    merge_constants,
)
from kernels.paged_prefill.kernel import paged_prefill_kernel
from kernels.paged_prefill.merge import merge_kernel
from kernels.paged_prefill.planner import PrefillPlan
from kernels.paged_prefill.specialised import specialised_prefill_kernel

LOG2E = math.log2(math.e)


def paged_prefill(
    q: torch.Tensor,
    kv_cache: torch.Tensor,
    block_table: torch.Tensor,
    plan: PrefillPlan,
    out: torch.Tensor,
    lse: torch.Tensor | None = None,
    *,
    workspace: tuple[torch.Tensor, torch.Tensor] | None = None,
    k_scale: float = 1.0,
    v_scale: float = 1.0,
    sinks: torch.Tensor | None = None,
    alibi_slopes: torch.Tensor | None = None,
) -> None:
    """Causal attention of each row's last tokens over its pages, as `plan_prefill` planned it.

    FlashAttention-2's tiling and online softmax (Dao, 2023) over vLLM's paged cache (Kwon et al.,
    2023), with the order and the cuts that plan.py derives. One launch, and a second for merging
    where tiles may be cut; no synchronisation. Within a row, the query tokens are the last of its
    `seq_lens` tokens.

    Args:
        q: `[tokens, Hq, D]` of the spec's dtype, last stride 1, other strides multiples of 16.
        kv_cache: `[num_blocks, Hkv, block, 2 * D]`, K first then V on the last axis, last stride 1,
            other strides multiples of 16; of the spec's dtype, or uint8 (or float8_e4m3fn) for
            e4m3.
        block_table: int32 `[rows, max_blocks]`, page ids in token order, of the planned rows.
        plan: this step's, for this spec.
        out: `[tokens, Hq, D]`, strides as `q`, written for each token of a planned row; other
            tokens are left alone.
        lse: None, or fp32 `[tokens, Hq]` contiguous: receives the log-sum-exp of the scores in
            log2 units, the sink's included.
        workspace: of `plan.workspace()`, for reuse by the next layer; None allocates it.
        k_scale: what an element of K is multiplied by.
        v_scale: the same for V.
        sinks: fp32 `[Hq]`, natural-log logits; given exactly when the spec has sinks.
        alibi_slopes: fp32 `[Hq]`; given exactly when the spec has ALiBi.

    Raises:
        UnsupportedAttentionError: an argument of the wrong shape, dtype or layout, by name.
    """
    spec, config = plan.spec, plan.config
    if kv_cache.dtype == torch.float8_e4m3fn:
        kv_cache = kv_cache.view(torch.uint8)
    check_attention_tensors(spec, q, kv_cache, block_table, out, lse)
    check_per_head(spec, sinks, alibi_slopes)
    if not len(plan.items):
        return
    partial_out, partial_lse = workspace or plan.workspace()
    tensors = (
        block_table,
        out,
        partial_lse if lse is None else lse,
        partial_lse if sinks is None else sinks,
        partial_lse if alibi_slopes is None else alibi_slopes,
        plan.counts,
        plan.items,
        partial_out,
        partial_lse,
    )
    scales = (spec.scale * k_scale * LOG2E, v_scale)
    constants = attention_constants(spec, config, plan.capability, lse=lse is not None)
    launch = _launch_specialised if config.specialised else _launch_plain
    launch(q, kv_cache, tensors, scales, plan, constants)
    if config.cut_budget:
        grid = (spec.num_q_heads // config.packed, config.cut_budget, config.block_m // MERGE_ROWS)
        merge_kernel[grid](
            partial_out,
            partial_lse,
            *tensors[1:4],
            plan.counts,
            plan.cuts,
            out.stride(0),
            out.stride(1),
            **merge_constants(spec, config, lse=lse is not None),
        )


def _launch_plain(q, kv_cache, tensors, scales, plan, constants):
    block_table, out = tensors[:2]
    grid = (plan.spec.num_q_heads // plan.config.packed, len(plan.items))
    paged_prefill_kernel[grid](
        q,
        kv_cache,
        *tensors,
        block_table.stride(0),
        q.stride(0),
        q.stride(1),
        out.stride(0),
        out.stride(1),
        kv_cache.stride(0),
        kv_cache.stride(1),
        kv_cache.stride(2),
        *scales,
        **constants,
        **launch_options(plan.config),
    )


def _launch_specialised(q, kv_cache, tensors, scales, plan, constants):
    block_table, out = tensors[:2]
    require(q.stride(1) == plan.spec.head_dim, "q needs its heads beside each other, densely")
    flat = flatten_cache(kv_cache)
    _provide_scratch(q.device)
    specialised_prefill_kernel[(plan.config.sm_count,)](
        q,
        flat.descriptor(kv_cache, plan.config.block_n),
        *tensors,
        q.shape[0],
        block_table.stride(0),
        q.stride(0),
        out.stride(0),
        out.stride(1),
        flat.block_rows,
        flat.head_rows,
        flat.head_cols,
        *scales,
        **constants,
        **launch_options(plan.config),
    )


def _provide_scratch(device: torch.device) -> None:
    """Give Triton the 128 bytes a program needs for Q's descriptor, which a kernel makes itself."""
    triton.set_allocator(
        lambda size, _align, _stream: torch.empty(size, dtype=torch.int8, device=device)
    )
