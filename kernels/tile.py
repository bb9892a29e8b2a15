"""Pieces of Triton that several kernels share: decoding, score transforms, masks.

Scores live in log2 units from the moment they leave the tensor core, because exp2 is one
instruction and exp is two. `LOG2E` converts.
"""

import triton
import triton.language as tl

LOG2E = tl.constexpr(1.4426950408889634)


@triton.jit
def decode_e4m3(x, dtype: tl.constexpr, native: tl.constexpr):
    """Return e4m3 bytes as `dtype` (fp16, bf16 or fp32), exactly."""
    half = decode_e4m3_scaled(x, native)
    if not native:
        half = half * 256.0
    return half.to(dtype)


@triton.jit
def decode_e4m3_scaled(x, native: tl.constexpr):
    """Return e4m3 bytes as fp16, divided by `spec.e4m3_factor`, exactly.

    Without hardware conversion the bits move into an fp16's fields: 4 exponent bits of bias 7 under
    an exponent field of bias 15 leave a factor 2 ** 8, subnormals included, which the launcher
    folds into the scales. The byte 0x7f (NaN) reads as 480 there; the cache writer saturates at 448
    and never writes it.
    """
    if native:
        half = x.to(tl.float8e4nv, bitcast=True).to(tl.float16)
    else:
        # The sign, extended over the upper byte, arrives in its place; bit 14 is the one to clear.
        wide = x.to(tl.int8, bitcast=True).to(tl.int16)
        half = ((wide << 7) & -0x4080).to(tl.float16, bitcast=True)
    return half


@triton.jit
def fit_fp16(q):
    """Return `q` [M, D] as fp16 and a power of two per row [M] that scales it back (fp32).

    An e4m3 cache is cheapest to use as fp16, one instruction for two elements. A bf16 query may
    exceed fp16's range but not its precision: rows are scaled by a power of two to a maximum in
    [2, 4), exactly but for elements below 2 ** -25 of the row's maximum.
    """
    largest = tl.max(tl.abs(q.to(tl.float32)), 1)
    # The exponent field alone; between 2 ** -126 and 2 ** 126, so that its inverse is normal.
    power = (largest.to(tl.int32, bitcast=True) & 0x7F800000).to(tl.float32, bitcast=True)
    power = tl.minimum(tl.maximum(power * 0.5, 1.1754943508222875e-38), 8.507059173023462e37)
    return (q.to(tl.float32) * (1.0 / power)[:, None]).to(tl.float16), power


@triton.jit
def load_kv(ptrs, mask, dtype: tl.constexpr, fp8: tl.constexpr, native: tl.constexpr):
    """Load a tile of K or V as `dtype`; what the mask leaves out is zero, never stale cache.

    A mask of None loads the whole tile.
    """
    x = tl.load(ptrs) if mask is None else tl.load(ptrs, mask=mask, other=0)
    if fp8:
        x = decode_e4m3(x, dtype, native)
    return x


@triton.jit
def log2_scores(qk, scale_log2e, soft_cap: tl.constexpr):
    """Turn raw q.k (fp32) into softmax scores in log2 units.

    `scale_log2e` is scale * k_scale * log2(e). With a cap c the score is c * tanh(s / c), written
    as c - 2c / (exp2(2 s / c) + 1): exp2's overflow to infinity then gives exactly c.
    """
    scores = qk * scale_log2e
    if soft_cap > 0:
        cap: tl.constexpr = soft_cap * LOG2E
        # scores / cap is in natural units of s / c; exp(2 x) = exp2(2 x log2 e).
        grown = tl.math.exp2(scores * (2.0 * LOG2E / cap))
        scores = cap - (2.0 * cap) / (grown + 1.0)
    return scores


@triton.jit
def alibi_bias(slopes_log2e, q_pos, k_pos):
    """ALiBi in log2 units, `[M, N]`: slope * (key position - query position), 0 on the diagonal."""
    return slopes_log2e[:, None] * (k_pos[None, :] - q_pos[:, None]).to(tl.float32)


@triton.jit
def visible(q_pos, k_pos, window: tl.constexpr):
    """Which keys a query sees, `[M, N]`: none later, and the last `window` tokens if there is one.

    Positions count from 0 within the row. A query sees itself, so a window of 1 sees one key.
    """
    mask = k_pos[None, :] <= q_pos[:, None]
    if window > 0:
        mask = mask & (k_pos[None, :] > q_pos[:, None] - window)
    return mask


@triton.jit
def finite_max(m):
    """A maximum safe to subtract: rows that have seen no key keep -inf out of inf - inf."""
    return tl.where(m == float("-inf"), 0.0, m)
