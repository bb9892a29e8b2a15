"""What the cache writer computes, token by token in PyTorch."""

import torch

from kernels.cache_write.rotary import Rotary


def reference_rope(
    x: torch.Tensor, positions: torch.Tensor, rotary: Rotary, compute: torch.dtype = torch.float64
) -> torch.Tensor:
    """Turn `[tokens, heads, D]` by position, in `compute`; elements past the rotary's stay."""
    half = rotary.dim // 2
    cos, sin = rotary.cos_sin[positions.long()].to(compute)[:, None].split(half, dim=2)
    turned = x.to(compute).clone()
    low = slice(0, half) if rotary.neox else slice(0, rotary.dim, 2)
    high = slice(half, rotary.dim) if rotary.neox else slice(1, rotary.dim, 2)
    a, b = turned[..., low].clone(), turned[..., high].clone()
    turned[..., low], turned[..., high] = a * cos - b * sin, b * cos + a * sin
    return turned


def reference_cache_write(
    key: torch.Tensor,
    value: torch.Tensor,
    kv_cache: torch.Tensor,
    slot_mapping: torch.Tensor,
    *,
    k_scale: float = 1.0,
    v_scale: float = 1.0,
) -> None:
    """Write finite, scaled and rounded K and V into the cache, which may be fp8 bytes."""
    block, dim = kv_cache.shape[2], key.shape[2]
    for token, slot in enumerate(slot_mapping.tolist()):
        if slot < 0:
            continue
        cell = kv_cache[slot // block, :, slot % block]
        for part, x, scale in (
            (cell[:, :dim], key, k_scale),
            (cell[:, dim:], value, v_scale),
        ):
            part.copy_(_stored(x[token], scale, kv_cache.dtype))


def _stored(x: torch.Tensor, scale: float, dtype: torch.dtype) -> torch.Tensor:
    """Elements as the cache keeps them."""
    scaled = x.float() * torch.tensor(1.0 / scale, dtype=torch.float32)
    fp8 = dtype == torch.uint8
    limit = 448.0 if fp8 else torch.finfo(dtype).max
    finite = torch.nan_to_num(scaled, nan=0.0).clamp(-limit, limit)
    return finite.to(torch.float8_e4m3fn).view(torch.uint8) if fp8 else finite.to(dtype)
