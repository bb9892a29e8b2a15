"""Launching the cache writer, arguments already checked."""

from typing import Any

import torch

from kernels.cache_write.config import choose_config
from kernels.cache_write.kernel import cache_write_kernel
from kernels.cache_write.rotary import Rotary
from kernels.spec import capability_of


def launch_write(
    key: torch.Tensor,
    value: torch.Tensor,
    kv_cache: torch.Tensor,
    slot_mapping: torch.Tensor,
    scales: tuple[float, float],
    turned: tuple[torch.Tensor, torch.Tensor, torch.Tensor, Rotary] | None = None,
) -> None:
    """Write one step; `turned` is (q, q_out, positions, rotary)."""
    tokens, heads, head_dim = slot_mapping.shape[0], key.shape[1], key.shape[2]
    if not tokens:
        return
    config = choose_config(tokens, capability_of(kv_cache.device))
    # Without a rotary the last four stand for tensors that the compiled form never touches.
    q, q_out, positions, rotary = turned or (key, key, slot_mapping, None)
    cos_sin = key if rotary is None else rotary.cos_sin
    constants = write_constants(
        group=q.shape[1] // heads,
        head_dim=head_dim,
        block_size=kv_cache.shape[2],
        block_t=config.block_t,
        rotary_dim=0 if rotary is None else rotary.dim,
        neox=rotary is None or rotary.neox,
        cache_dtype=kv_cache.dtype,
    )
    cache_write_kernel[(-(-tokens // config.block_t), heads)](
        key,
        value,
        kv_cache,
        slot_mapping,
        q,
        q_out,
        positions,
        cos_sin,
        tokens,
        *key.stride()[:2],
        *value.stride()[:2],
        *kv_cache.stride()[:3],
        *q.stride()[:2],
        *q_out.stride()[:2],
        cos_sin.stride(0),
        *(1.0 / scale for scale in scales),
        **constants,
        num_warps=config.num_warps,
    )


def write_constants(
    *,
    group: int,
    head_dim: int,
    block_size: int,
    block_t: int,
    rotary_dim: int,
    neox: bool,
    cache_dtype: torch.dtype,
) -> dict[str, Any]:
    """Compile-time constants of `cache_write_kernel`."""
    fp8 = cache_dtype == torch.uint8
    return {
        "GROUP": group,
        "HEAD_DIM": head_dim,
        "PADDED_DIM": 1 << (head_dim - 1).bit_length(),
        "BLOCK_SIZE": block_size,
        "BLOCK_T": block_t,
        "ROTARY_DIM": rotary_dim,
        "PADDED_HALF": 1 << max(0, rotary_dim // 2 - 1).bit_length(),
        "NEOX": neox,
        "LIMIT": 448.0 if fp8 else torch.finfo(cache_dtype).max,
        "FP8": fp8,
    }
