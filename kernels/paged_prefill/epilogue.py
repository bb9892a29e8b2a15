"""What happens to a query tile's result: written out, or kept as one piece of a cut tile."""

import triton
import triton.language as tl

from kernels import tile


@triton.jit
def join_sink(total, peak, sinks, head):
    """Let each head's sink join the denominator; return (total, peak, factor for the output).

    A sink may lie far above every score, so the maximum is taken anew, not the sink's exp2.
    """
    sink = tl.load(sinks + head) * tile.LOG2E
    new_peak = tl.maximum(peak, sink)
    factor = tl.math.exp2(peak - new_peak)
    return total * factor + tl.math.exp2(sink - new_peak), new_peak, factor


@triton.jit
def store_rows(
    acc, total, peak, factor, token, head, mask, out, lse, stride_out_token, stride_out_head,
    NUM_Q_HEADS: tl.constexpr, HEAD_DIM: tl.constexpr, WRITE_LSE: tl.constexpr,
):  # fmt: skip
    """Normalise and write outputs `[M, D]` and log-sum-exps `[M]`; no key seen gives 0 and -inf."""
    offs_d = tl.arange(0, acc.shape[1])
    total = tl.where(total > 0, total, 1.0)
    outputs = acc * (factor / total)[:, None]
    rows = out + (token.to(tl.int64) * stride_out_token + head * stride_out_head)[:, None]
    inside = mask[:, None] & (offs_d < HEAD_DIM)[None, :]
    tl.store(rows + offs_d[None, :], outputs.to(out.dtype.element_ty), mask=inside)
    if WRITE_LSE:
        tl.store(lse + token.to(tl.int64) * NUM_Q_HEADS + head, peak + tl.math.log2(total), mask)


@triton.jit
def store_tile(
    acc, total, peak, place, head, first_token, tokens, slot, piece, out, lse, sinks,
    partial_out, partial_lse, stride_out_token, stride_out_head, v_scale,
    NUM_Q_HEADS: tl.constexpr, HEAD_DIM: tl.constexpr, SINKS: tl.constexpr, CUTS: tl.constexpr,
    WRITE_LSE: tl.constexpr,
):  # fmt: skip
    """Store a tile attended whole (`slot` < 0) to its outputs, a piece to the workspace.

    `place` is each row's token within the tile, of which the first `tokens` exist. A piece leaves
    its fp32 output, normalised, and its log-sum-exp; `merge_kernel` adds the sink once all pieces
    are there.
    """
    whole = place < tokens
    if CUTS:
        whole = place < tl.where(slot < 0, tokens, 0)
        kept = place < tl.where(slot < 0, 0, tokens)
        BLOCK_M: tl.constexpr = acc.shape[0]
        offs_d = tl.arange(0, acc.shape[1])
        rows = piece.to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
        total = tl.where(total > 0, total, 1.0)
        outputs = acc * (v_scale / total)[:, None]
        inside = kept[:, None] & (offs_d < HEAD_DIM)[None, :]
        tl.store(partial_out + rows[:, None] * HEAD_DIM + offs_d[None, :], outputs, mask=inside)
        tl.store(partial_lse + rows, peak + tl.math.log2(total), mask=kept)
    factor = v_scale
    if SINKS:
        total, peak, factor = join_sink(total, peak, sinks, head)
        factor *= v_scale
    store_rows(
        acc, total, peak, factor, first_token + place, head, whole, out, lse, stride_out_token,
        stride_out_head, NUM_Q_HEADS, HEAD_DIM, WRITE_LSE,
    )  # fmt: skip
