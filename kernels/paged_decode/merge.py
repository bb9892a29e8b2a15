"""Partial results: how a piece leaves one, and how the last piece to finish merges them.

A partial is the unnormalised output, the row maximum and the row sum, in fp32. Merging n partials
is the online softmax once more. It runs over pieces in token order, whoever does it, so the result
does not depend on who finishes last.
"""

import triton
import triton.language as tl

from kernels import tile


@triton.jit
def store_partial(
    partial_out,  # [slots, rows, PADDED_DIM] fp32
    partial_stats,  # [slots, 2, rows] fp32: maxima, sums
    slot,
    acc,
    row_max,
    row_sum,
    valid,
    PACKED_ROWS: tl.constexpr,
):
    """Write one piece's result where the merging program will look."""
    BLOCK_M: tl.constexpr = acc.shape[0]
    PADDED_DIM: tl.constexpr = acc.shape[1]
    offs_m = tl.arange(0, BLOCK_M)
    offs_d = tl.arange(0, PADDED_DIM)
    base = slot.to(tl.int64) * PACKED_ROWS
    out = partial_out + (base + offs_m[:, None]) * PADDED_DIM + offs_d[None, :]
    tl.store(out, acc, mask=valid[:, None])
    stats = partial_stats + 2 * base + offs_m
    tl.store(stats, row_max, mask=valid)
    tl.store(stats + PACKED_ROWS, row_sum, mask=valid)


@triton.jit
def merge_partials(
    partial_out,
    partial_stats,
    first_slot,  # of the piece with index 0
    next_slot,  # of the piece with index 1
    slot_step,  # from there on
    count,
    valid,
    PACKED_ROWS: tl.constexpr,
    PADDED_DIM: tl.constexpr,
    UNROLL: tl.constexpr,
):
    """Merge `count` partials in token order; UNROLL of them are in flight at a time.

    Loads bypass L1, which does not see what other multiprocessors wrote.
    """
    BLOCK_M: tl.constexpr = valid.shape[0]
    offs_m = tl.arange(0, BLOCK_M)
    offs_d = tl.arange(0, PADDED_DIM)
    acc = tl.zeros([BLOCK_M, PADDED_DIM], tl.float32)
    row_max = tl.full([BLOCK_M], float("-inf"), tl.float32)
    row_sum = tl.zeros([BLOCK_M], tl.float32)
    # A vector, because the interpreter loses the type of a scalar comparison when it broadcasts.
    pieces = tl.zeros([BLOCK_M], tl.int32) + count
    for base_index in range(0, count, UNROLL):
        for lane in tl.static_range(UNROLL):
            index = base_index + lane
            here = valid & (index < pieces)
            slot = tl.where(index == 0, first_slot, next_slot + (index - 1) * slot_step)
            base = slot.to(tl.int64) * PACKED_ROWS
            stats = partial_stats + 2 * base + offs_m
            part_max = tl.load(stats, mask=here, other=float("-inf"), cache_modifier=".cg")
            part_sum = tl.load(stats + PACKED_ROWS, mask=here, other=0.0, cache_modifier=".cg")
            out = partial_out + (base + offs_m[:, None]) * PADDED_DIM + offs_d[None, :]
            part = tl.load(out, mask=here[:, None], other=0.0, cache_modifier=".cg")
            new_max = tl.maximum(row_max, part_max)
            safe_max = tile.finite_max(new_max)
            decay, weight = tl.math.exp2(row_max - safe_max), tl.math.exp2(part_max - safe_max)
            acc = acc * decay[:, None] + part * weight[:, None]
            row_sum = row_sum * decay + part_sum * weight
            row_max = new_max
    return acc, row_max, row_sum


@triton.jit
def merge_prefix(
    acc,
    row_max,
    row_sum,
    prefix_out,  # [places, Hq, HEAD_DIM] fp32, normalised
    prefix_lse,  # [places, Hq] fp32, log2 units
    rows,  # [M] place times Hq plus head
    valid,  # [M], false too where a row has no shared prefix
    HEAD_DIM: tl.constexpr,
):
    """Merge the finished result of a shared prefix: one more partial, with a sum of 1."""
    offs_d = tl.arange(0, acc.shape[1])
    part_max = tl.load(prefix_lse + rows, mask=valid, other=float("-inf"))
    ptrs = prefix_out + rows.to(tl.int64)[:, None] * HEAD_DIM + offs_d[None, :]
    part = tl.load(ptrs, mask=valid[:, None] & (offs_d < HEAD_DIM)[None, :], other=0.0)
    new_max = tl.maximum(row_max, part_max)
    safe_max = tile.finite_max(new_max)
    decay, weight = tl.math.exp2(row_max - safe_max), tl.math.exp2(part_max - safe_max)
    return acc * decay[:, None] + part * weight[:, None], new_max, row_sum * decay + weight


@triton.jit
def finish(acc, row_max, row_sum, sink_log2e, v_scale, SINKS: tl.constexpr):
    """Normalise: output [M, D] fp32 and log-sum-exp [M] in log2 units.

    A sink joins the denominator here, once, after all pieces. A row that saw no key is 0 and -inf.
    """
    if SINKS:
        new_max = tl.maximum(row_max, sink_log2e)
        decay = tl.math.exp2(row_max - new_max)
        acc = acc * decay[:, None]
        row_sum = row_sum * decay + tl.math.exp2(sink_log2e - new_max)
        row_max = new_max
    divisor = tl.where(row_sum == 0.0, 1.0, row_sum)
    return acc * (v_scale / divisor)[:, None], row_max + tl.math.log2(row_sum)
