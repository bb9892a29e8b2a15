"""The cache writer: K and V of a step's tokens into their slots, plain or with RoPE."""

import torch

from kernels.arguments import require
from kernels.cache_write.launch import launch_write
from kernels.cache_write.rotary import Rotary
from kernels.spec import BLOCK_SIZES, DTYPES, HEAD_DIMS


def cache_write(
    key: torch.Tensor,
    value: torch.Tensor,
    kv_cache: torch.Tensor,
    slot_mapping: torch.Tensor,
    *,
    k_scale: float = 1.0,
    v_scale: float = 1.0,
) -> None:
    """Write K and V of each token into its slot of a paged cache (vLLM's; Kwon et al., 2023).

    One launch, no synchronisation, no allocation; it may be captured in a CUDA graph. What is
    written is always finite: NaN becomes 0 and the rest saturates. So a sequence that overflows
    spoils itself alone, and a page may be handed on without being cleared.

    Args:
        key: `[tokens, Hkv, D]`, last stride 1, of the model's dtype.
        value: `[tokens, Hkv, D]`, the same.
        kv_cache: `[num_blocks, Hkv, block, 2 * D]`, K first then V on the last axis, any strides
            with a last one of 1; of the dtype of `key`, or uint8 (or float8_e4m3fn) for e4m3.
        slot_mapping: int64 or int32 `[n]` with n <= tokens, page * block + offset of each token;
            -1 is written nowhere. Tokens from n on are padding.
        k_scale: what readers multiply an element of K by: K times the fp32 inverse is stored.
        v_scale: the same for V.

    Raises:
        UnsupportedAttentionError: an argument of the wrong shape, dtype or layout, by name.
    """
    kv_cache = _as_bytes(kv_cache)
    _check_write(key, value, kv_cache, slot_mapping, (k_scale, v_scale))
    launch_write(key, value, kv_cache, slot_mapping, (k_scale, v_scale))


def rope_cache_write(
    q: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    kv_cache: torch.Tensor,
    slot_mapping: torch.Tensor,
    positions: torch.Tensor,
    rotary: Rotary,
    q_out: torch.Tensor,
    *,
    k_scale: float = 1.0,
    v_scale: float = 1.0,
) -> None:
    """Turn Q and K by their positions, write K and V into their slots, and repack Q.

    One launch instead of three, each of Q, K and V read once. Angles and products are fp32. Tokens
    of slot -1 have their Q turned and nothing written.

    Args:
        q: `[tokens, Hq, D]`, last stride 1, of the model's dtype.
        key: `[tokens, Hkv, D]`, as `cache_write` has it; left as it is.
        value: `[tokens, Hkv, D]`.
        kv_cache: as `cache_write` has it.
        slot_mapping: int64 or int32 `[n]` with n <= tokens; Q is turned for the first n tokens.
        positions: int64 or int32 `[tokens]`, rows of the rotary's table.
        rotary: the table and how elements pair.
        q_out: `[tokens, Hq, D]`, last stride 1, of the dtype of `q`: where the turned Q goes, its
            heads densely for `paged_prefill`'s specialised path. It may be `q` itself, but must not
            overlap it shifted.
        k_scale: as `cache_write` has it.
        v_scale: the same for V.

    Raises:
        UnsupportedAttentionError: an argument of the wrong shape, dtype or layout, by name.
    """
    kv_cache = _as_bytes(kv_cache)
    _check_write(key, value, kv_cache, slot_mapping, (k_scale, v_scale))
    heads, dim = key.shape[1:]
    for name, tensor in (("q", q), ("q_out", q_out)):
        fits = tensor.dim() == 3 and tensor.shape[2] == dim and tensor.shape[1] % heads == 0
        require(fits, f"{name} must be [tokens, a multiple of {heads}, {dim}]")
        require(tensor.dtype == key.dtype, f"{name} must be {key.dtype}, as key is")
        require(tensor.stride(2) == 1, f"{name} needs a last stride of 1")
        require(tensor.shape[0] >= slot_mapping.shape[0], f"{name} has fewer tokens than slots")
    require(q.shape[1] == q_out.shape[1], "q_out must have as many heads as q")
    integral = positions.dtype in {torch.int32, torch.int64} and positions.dim() == 1
    require(integral and positions.is_contiguous(), "positions must be int32 or int64 [tokens]")
    require(positions.shape[0] >= slot_mapping.shape[0], "positions has fewer tokens than slots")
    table = rotary.cos_sin
    fits = table.dim() == 2 and table.stride(1) == 1 and table.dtype in DTYPES
    require(fits, "rotary.cos_sin must be a float [positions, R] with a last stride of 1")
    even = rotary.dim % 2 == 0 and 0 < rotary.dim <= dim
    require(even, f"rotary.cos_sin turns {rotary.dim} elements, not an even number up to {dim}")
    turned = (q, q_out, positions, rotary)
    launch_write(key, value, kv_cache, slot_mapping, (k_scale, v_scale), turned)


def _as_bytes(kv_cache: torch.Tensor) -> torch.Tensor:
    return kv_cache.view(torch.uint8) if kv_cache.dtype == torch.float8_e4m3fn else kv_cache


def _check_write(
    key: torch.Tensor,
    value: torch.Tensor,
    kv_cache: torch.Tensor,
    slot_mapping: torch.Tensor,
    scales: tuple[float, float],
) -> None:
    require(key.dim() == 3 and key.dtype in DTYPES, f"key must be [tokens, Hkv, D] of {DTYPES}")
    require(key.shape[2] in HEAD_DIMS, f"key has head dim {key.shape[2]}, none of {HEAD_DIMS}")
    require(value.shape == key.shape, f"value must be {list(key.shape)}, as key is")
    require(value.dtype == key.dtype, f"value must be {key.dtype}, as key is")
    for name, tensor in (("key", key), ("value", value), ("kv_cache", kv_cache)):
        require(tensor.stride(-1) == 1, f"{name} needs a last stride of 1")
    fits = kv_cache.dim() == 4 and kv_cache.shape[1::2] == (key.shape[1], 2 * key.shape[2])
    expected = f"[num_blocks, {key.shape[1]}, block, {2 * key.shape[2]}]"
    require(fits, f"kv_cache must be {expected}, not {list(kv_cache.shape)}")
    block = kv_cache.shape[2]
    require(block in BLOCK_SIZES, f"kv_cache has pages of {block} tokens, none of {BLOCK_SIZES}")
    fits = kv_cache.dtype in {key.dtype, torch.uint8}
    require(fits, f"kv_cache must be {key.dtype} or e4m3, not {kv_cache.dtype}")
    integral = slot_mapping.dtype in {torch.int32, torch.int64} and slot_mapping.dim() == 1
    require(integral and slot_mapping.is_contiguous(), "slot_mapping must be int32 or int64 [n]")
    require(slot_mapping.shape[0] <= key.shape[0], "slot_mapping has more tokens than key")
    positive = all(scale > 0 for scale in scales)
    require(positive, f"k_scale and v_scale must be greater than 0, not {scales}")
