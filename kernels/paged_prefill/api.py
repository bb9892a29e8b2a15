"""Paged prefill: many query tokens a row, prompts and chunks of prompts, over a paged cache."""

import math

import torch
import triton

from kernels.arguments import require
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
from kernels.tensors import LayerTensors

LOG2E = math.log2(math.e)


def paged_prefill(
    tensors: LayerTensors,
    plan: PrefillPlan,
    *,
    scratch: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> None:
    """Causal attention of each row's last tokens over its pages, as `plan_prefill` planned it.

    FlashAttention-2's tiling and online softmax (Dao, 2023) over vLLM's paged cache (Kwon et al.,
    2023), with the order and the cuts that plan.py derives. One launch, and a second for merging
    where tiles may be cut; no synchronisation.

    Args:
        tensors: of the layer; the class says shapes, dtypes, layouts and units. Tokens of rows that
            the plan passes over are left alone.
        plan: this step's, for the layer's spec.
        scratch: of `plan.scratch()`, for reuse by the next layer; None allocates it.

    Raises:
        UnsupportedAttentionError: an argument of the wrong shape, dtype or layout, by name.
    """
    spec, config = plan.spec, plan.config
    tensors = tensors.checked(spec, plan.rows)
    if not len(plan.items):
        return
    partials = scratch or plan.scratch()
    launch = _launch_specialised if config.specialised else _launch_plain
    launch(tensors, plan, partials)
    if config.cut_budget:
        grid = (spec.num_q_heads // config.packed, config.cut_budget, config.block_m // MERGE_ROWS)
        merge_kernel[grid](
            *partials,
            *_results(tensors, partials)[:3],
            plan.counts,
            plan.cuts,
            *tensors.out.stride()[:2],
            **merge_constants(spec, config, lse=tensors.lse is not None),
        )


def _results(
    tensors: LayerTensors, partials: tuple[torch.Tensor, torch.Tensor]
) -> tuple[torch.Tensor, ...]:
    """Output, log-sum-exp, sinks, slopes; fp32 scratch stands in for what is not given."""
    optional = (tensors.lse, tensors.sinks, tensors.alibi_slopes)
    return tensors.out, *(partials[1] if tensor is None else tensor for tensor in optional)


def _launch_plain(
    tensors: LayerTensors, plan: PrefillPlan, partials: tuple[torch.Tensor, torch.Tensor]
) -> None:
    spec, config = plan.spec, plan.config
    paged_prefill_kernel[(spec.num_q_heads // config.packed, len(plan.items))](
        tensors.q,
        tensors.kv_cache,
        tensors.block_table,
        *_results(tensors, partials),
        plan.counts,
        plan.items,
        *partials,
        tensors.block_table.stride(0),
        *tensors.q.stride()[:2],
        *tensors.out.stride()[:2],
        *tensors.kv_cache.stride()[:3],
        spec.scale * tensors.k_scale * LOG2E,
        tensors.v_scale,
        **attention_constants(spec, config, plan.capability, lse=tensors.lse is not None),
        **launch_options(config),
    )


def _launch_specialised(
    tensors: LayerTensors, plan: PrefillPlan, partials: tuple[torch.Tensor, torch.Tensor]
) -> None:
    spec, config, q = plan.spec, plan.config, tensors.q
    require(q.stride(1) == spec.head_dim, "q needs its heads beside each other, densely")
    flat = flatten_cache(tensors.kv_cache)
    _provide_scratch(q.device)
    specialised_prefill_kernel[(config.sm_count,)](
        q,
        flat.descriptor(tensors.kv_cache, config.block_n),
        tensors.block_table,
        *_results(tensors, partials),
        plan.counts,
        plan.items,
        *partials,
        q.shape[0],
        tensors.block_table.stride(0),
        q.stride(0),
        *tensors.out.stride()[:2],
        flat.block_rows,
        flat.head_rows,
        flat.head_cols,
        spec.scale * tensors.k_scale * LOG2E,
        tensors.v_scale,
        **attention_constants(spec, config, plan.capability, lse=tensors.lse is not None),
        **launch_options(config),
    )


def _provide_scratch(device: torch.device) -> None:
    """Give Triton the 128 bytes a program needs for Q's descriptor, which a kernel makes itself."""
    triton.set_allocator(
        lambda size, _align, _stream: torch.empty(size, dtype=torch.int8, device=device)
    )
