"""What happens to a query tile's result: written out, or kept as one piece of a cut tile."""

import triton
import triton.language as tl

from kernels import tile


@triton.jit
def finish(total, peak, sinks, head, SINKS: tl.constexpr):
    """What a row's sums are multiplied by, and its log-sum-exp; no key seen gives 0 and -inf.

    A sink joins the denominator alone. It may lie far above every score, so the maximum is taken
    anew, not the sink's exp2.
    """
    factor = total * 0.0 + 1.0
    if SINKS:
        sink = tl.load(sinks + head) * tile.LOG2E
        new_peak = tl.maximum(peak, sink)
        factor = tl.math.exp2(peak - new_peak)
        total = total * factor + tl.math.exp2(sink - new_peak)
        peak = new_peak
    total = tl.where(total > 0, total, 1.0)
    return factor / total, peak + tl.math.log2(total)


@triton.jit
def store_rows(
    outputs, row_lse, token, head, mask, out, lse, stride_out_token, stride_out_head,
    NUM_Q_HEADS: tl.constexpr, HEAD_DIM: tl.constexpr, WRITE_LSE: tl.constexpr,
):  # fmt: skip
    """Write outputs `[M, D]` and log-sum-exps `[M]` where they belong."""
    offs_d = tl.arange(0, outputs.shape[1])
    rows = out + (token.to(tl.int64) * stride_out_token + head * stride_out_head)[:, None]
    inside = mask[:, None] & (offs_d < HEAD_DIM)[None, :]
    tl.store(rows + offs_d[None, :], outputs.to(out.dtype.element_ty), mask=inside)
    if WRITE_LSE:
        tl.store(lse + token.to(tl.int64) * NUM_Q_HEADS + head, row_lse, mask)


@triton.jit
def store_piece(
    outputs, row_lse, piece, mask, partial_out, partial_lse, HEAD_DIM: tl.constexpr
):  # fmt: skip
    """Keep a piece's normalised outputs `[M, D]` and log-sum-exps `[M]` for `merge_kernel`."""
    BLOCK_M: tl.constexpr = outputs.shape[0]
    offs_d = tl.arange(0, outputs.shape[1])
    rows = piece.to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    inside = mask[:, None] & (offs_d < HEAD_DIM)[None, :]
    tl.store(partial_out + rows[:, None] * HEAD_DIM + offs_d[None, :], outputs, mask=inside)
    tl.store(partial_lse + rows, row_lse, mask=mask)


@triton.jit
def store_tile(
    acc, total, peak, place, head, first_token, tokens, slot, piece, out, lse, sinks,
    partial_out, partial_lse, stride_out_token, stride_out_head, v_scale,
    NUM_Q_HEADS: tl.constexpr, HEAD_DIM: tl.constexpr, SINKS: tl.constexpr, CUTS: tl.constexpr,
    WRITE_LSE: tl.constexpr, BRANCHES: tl.constexpr,
):  # fmt: skip
    """Store a tile attended whole (`slot` < 0) to its outputs, a piece to the workspace.

    `place` is each row's token within the tile, of which the first `tokens` exist. A piece knows
    nothing of the sink, which joins once, when all pieces are merged. The sums are scaled once for
    both destinations, since two copies of them do not fit the registers. BRANCHES chooses between
    them by a branch, which takes fewest registers; warp specialisation allows none, only masks.
    """
    exists = place < tokens
    whole = total * 0.0 + slot < 0  # a vector, as what it chooses between
    weight, row_lse = finish(total, peak, sinks, head, SINKS)
    if CUTS and SINKS:
        piece_weight, piece_lse = finish(total, peak, sinks, head, False)
        weight, row_lse = tl.where(whole, weight, piece_weight), tl.where(whole, row_lse, piece_lse)
    outputs = acc * (weight * v_scale)[:, None]
    token = first_token + place
    if CUTS and BRANCHES:
        if slot >= 0:
            store_piece(outputs, row_lse, piece, exists, partial_out, partial_lse, HEAD_DIM)
        else:
            store_rows(
                outputs, row_lse, token, head, exists, out, lse, stride_out_token,
                stride_out_head, NUM_Q_HEADS, HEAD_DIM, WRITE_LSE,
            )  # fmt: skip
    else:
        if CUTS:
            kept = exists & (whole == 0)
            store_piece(outputs, row_lse, piece, kept, partial_out, partial_lse, HEAD_DIM)
            exists = exists & whole
        store_rows(
            outputs, row_lse, token, head, exists, out, lse, stride_out_token,
            stride_out_head, NUM_Q_HEADS, HEAD_DIM, WRITE_LSE,
        )  # fmt: skip
