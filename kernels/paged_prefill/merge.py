"""Merging the pieces of cut tiles: a softmax over all keys from a softmax over each range."""

import triton
import triton.language as tl

from kernels import tile
from kernels.paged_prefill.epilogue import finish, store_rows


@triton.jit
def merge_kernel(
    partial_out,  # [pieces, Hq / PACKED, BLOCK_M, HEAD_DIM] fp32
    partial_lse,  # [pieces, Hq / PACKED, BLOCK_M] fp32, log2 units
    out,  # [tokens, Hq, HEAD_DIM]
    lse,  # [tokens, Hq] fp32, log2 units
    sinks,  # [Hq] fp32
    counts,  # [2] int32: items, cuts
    cuts,  # [cuts at most, 4] int32, see plan.CUT_FIELDS
    stride_out_token,
    stride_out_head,
    NUM_Q_HEADS: tl.constexpr,
    PACKED: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    PADDED_DIM: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_R: tl.constexpr,
    SINKS: tl.constexpr,
    WRITE_LSE: tl.constexpr,
):
    """Grid (Hq / PACKED, cuts at most, BLOCK_M / BLOCK_R).

    Pieces are normalised outputs O_i and log-sum-exps L_i; the whole is sum(2^L_i O_i) over
    sum(2^L_i), with the largest L_i taken out of both.
    """
    head_tile = tl.program_id(0)
    if tl.program_id(1) >= tl.load(counts + 1):
        return
    cut = cuts + tl.program_id(1) * 4
    first_token = tl.load(cut)
    tokens = tl.load(cut + 1)
    first_slot = tl.load(cut + 2)
    pieces = tl.load(cut + 3)
    offs_m = tl.program_id(2) * BLOCK_R + tl.arange(0, BLOCK_R)
    offs_d = tl.arange(0, PADDED_DIM)
    token = first_token + offs_m // PACKED
    head = head_tile * PACKED + offs_m % PACKED
    valid = offs_m // PACKED < tokens
    inside = valid[:, None] & (offs_d < HEAD_DIM)[None, :]

    acc = tl.zeros([BLOCK_R, PADDED_DIM], tl.float32)
    total = tl.zeros([BLOCK_R], tl.float32)
    peak = tl.full([BLOCK_R], float("-inf"), tl.float32)
    for slot in range(first_slot, first_slot + pieces):
        rows = (slot * (NUM_Q_HEADS // PACKED) + head_tile).to(tl.int64) * BLOCK_M + offs_m
        piece_lse = tl.load(partial_lse + rows, mask=valid, other=float("-inf"))
        ptrs = partial_out + rows[:, None] * HEAD_DIM + offs_d[None, :]
        piece = tl.load(ptrs, mask=inside, other=0.0)
        new_peak = tl.maximum(peak, piece_lse)
        anchor = tile.finite_max(new_peak)
        decay = tl.math.exp2(peak - anchor)
        weight = tl.math.exp2(piece_lse - anchor)
        acc = acc * decay[:, None] + piece * weight[:, None]
        total = total * decay + weight
        peak = new_peak
    weight, row_lse = finish(total, peak, sinks, head, SINKS)
    store_rows(
        acc * weight[:, None], row_lse, token, head, valid, out, lse, stride_out_token,
        stride_out_head, NUM_Q_HEADS, HEAD_DIM, WRITE_LSE,
    )  # fmt: skip
