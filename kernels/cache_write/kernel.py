"""The cache writer: each program takes a few tokens of one KV head and its query heads."""

import triton
import triton.language as tl


@triton.jit
def encode_e4m3(x):
    """The e4m3 bytes nearest to fp32 values, ties to even, saturating at 448.

    Done on the bits, the same on every architecture: from 2 ** -6 up, the upper 20 bits of mantissa
    round away and the exponent is rebiased from 127 to 7; below, adding 2 ** 14 leaves multiples of
    2 ** -9 in the sum's last bits.
    """
    magnitude = tl.minimum(tl.abs(x), 448.0)
    bits = magnitude.to(tl.int32, bitcast=True)
    normal = ((bits + 0x7FFFF + ((bits >> 20) & 1)) >> 20) - (120 << 3)
    small = (magnitude + 16384.0).to(tl.int32, bitcast=True) & 0xFF
    sign = (x.to(tl.int32, bitcast=True) >> 24) & 0x80
    return (tl.where(magnitude < 0.015625, small, normal) | sign).to(tl.uint8)


@triton.jit
def store_finite(ptrs, x, inverse, mask, LIMIT: tl.constexpr, FP8: tl.constexpr):
    """Store fp32 values in the cache's type: NaN as 0, the rest saturated, never infinite."""
    x = tl.where(x == x, x * inverse, 0.0)  # noqa: PLR0124 - NaN alone differs from itself
    if FP8:
        tl.store(ptrs, encode_e4m3(x), mask=mask)
    else:
        x = tl.minimum(tl.maximum(x, -LIMIT), LIMIT)
        tl.store(ptrs, x.to(ptrs.dtype.element_ty), mask=mask)


@triton.jit
def turn(ptrs, pair, cos, sin, mask):
    """Load two halves `[T, R / 2]`, `pair` elements apart, and turn each pair by its angle."""
    a = tl.load(ptrs, mask=mask, other=0).to(tl.float32)
    b = tl.load(ptrs + pair, mask=mask, other=0).to(tl.float32)
    return a * cos - b * sin, b * cos + a * sin


@triton.jit
def cache_write_kernel(
    key,
    value,
    kv_cache,
    slot_mapping,
    q,
    q_out,
    positions,
    cos_sin,
    num_tokens,
    stride_key_token,
    stride_key_head,
    stride_value_token,
    stride_value_head,
    stride_kv_block,
    stride_kv_head,
    stride_kv_token,
    stride_q_token,
    stride_q_head,
    stride_out_token,
    stride_out_head,
    stride_cos_sin,
    k_inverse,
    v_inverse,
    GROUP: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    PADDED_DIM: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    BLOCK_T: tl.constexpr,
    ROTARY_DIM: tl.constexpr,
    PADDED_HALF: tl.constexpr,
    NEOX: tl.constexpr,
    LIMIT: tl.constexpr,
    FP8: tl.constexpr,
):
    """Write `BLOCK_T` tokens of KV head `program_id(1)`; with a rotary, turn its heads of Q too."""
    head = tl.program_id(1)
    token = tl.program_id(0) * BLOCK_T + tl.arange(0, BLOCK_T)
    real = token < num_tokens
    slot = tl.load(slot_mapping + token, mask=real, other=-1).to(tl.int64)
    kept = (slot >= 0)[:, None]
    token = token.to(tl.int64)
    dst = kv_cache + (slot // BLOCK_SIZE) * stride_kv_block + head * stride_kv_head
    dst += (slot % BLOCK_SIZE) * stride_kv_token
    d = tl.arange(0, PADDED_DIM)
    within = (d < HEAD_DIM)[None, :]

    src = value + token * stride_value_token + head * stride_value_head
    x = tl.load(src[:, None] + d[None, :], mask=kept & within, other=0).to(tl.float32)
    store_finite(dst[:, None] + HEAD_DIM + d[None, :], x, v_inverse, kept & within, LIMIT, FP8)

    src = key + token * stride_key_token + head * stride_key_head
    stays = within & (d >= ROTARY_DIM)[None, :]  # what does not turn: all of it without a rotary
    if ROTARY_DIM < HEAD_DIM:
        x = tl.load(src[:, None] + d[None, :], mask=kept & stays, other=0).to(tl.float32)
        store_finite(dst[:, None] + d[None, :], x, k_inverse, kept & stays, LIMIT, FP8)
    if ROTARY_DIM > 0:
        half: tl.constexpr = ROTARY_DIM // 2
        pair: tl.constexpr = half if NEOX else 1
        i = tl.arange(0, PADDED_HALF)
        turns = (i < half)[None, :]
        at = (i if NEOX else 2 * i)[None, :]
        position = tl.load(positions + token, mask=real, other=0).to(tl.int64)
        angle = cos_sin + position[:, None] * stride_cos_sin + i[None, :]
        mask = real[:, None] & turns
        cos = tl.load(angle, mask=mask, other=0).to(tl.float32)
        sin = tl.load(angle + half, mask=mask, other=0).to(tl.float32)
        a, b = turn(src[:, None] + at, pair, cos, sin, kept & turns)
        store_finite(dst[:, None] + at, a, k_inverse, kept & turns, LIMIT, FP8)
        store_finite(dst[:, None] + at + pair, b, k_inverse, kept & turns, LIMIT, FP8)
        for member in range(GROUP):
            q_head = head * GROUP + member
            src = q + token * stride_q_token + q_head * stride_q_head
            out = q_out + token * stride_out_token + q_head * stride_out_head
            a, b = turn(src[:, None] + at, pair, cos, sin, mask)
            tl.store(out[:, None] + at, a.to(q_out.dtype.element_ty), mask=mask)
            tl.store(out[:, None] + at + pair, b.to(q_out.dtype.element_ty), mask=mask)
            if ROTARY_DIM < HEAD_DIM:
                rest = tl.load(src[:, None] + d[None, :], mask=real[:, None] & stays, other=0)
                tl.store(out[:, None] + d[None, :], rest, mask=real[:, None] & stays)
