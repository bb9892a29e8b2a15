"""The loop over KV tiles: one piece's online softmax, in log2 units, for packed query rows."""

import triton
import triton.language as tl

from kernels import tile


@triton.jit
def load_pages(table_row, start, seq_len, BLOCK_SIZE: tl.constexpr, BLOCK_N: tl.constexpr):
    """Page ids of the KV tile at `start`: a scalar where a page holds whole tiles, else a vector.

    The vector has one id per token. Nothing is read for positions at or beyond `seq_len`.
    """
    if BLOCK_SIZE >= BLOCK_N:
        pages = tl.load(table_row + start // BLOCK_SIZE, mask=start < seq_len, other=0)
    else:
        tokens = start + tl.arange(0, BLOCK_N)
        pages = tl.load(table_row + tokens // BLOCK_SIZE, mask=tokens < seq_len, other=0)
    return pages


@triton.jit
def attend(
    q,  # [M, D], D padded to a power of two
    q_pos,  # [M] position in the sequence
    slopes,  # [M] ALiBi slopes times log2 e, unused without ALiBi
    kv_head_ptr,  # the KV head's first element of page 0
    table_row,  # the row's page ids
    stride_block,
    stride_token,
    first_tile,
    last_tile,
    seq_len,
    first_seen,  # earliest position that any query token of the row sees
    qk_scale,  # scalar, or [M, 1]
    HEAD_DIM: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    BLOCK_N: tl.constexpr,
    WINDOW: tl.constexpr,
    SOFT_CAP: tl.constexpr,
    ALIBI: tl.constexpr,
    FP8: tl.constexpr,
    NATIVE_E4M3: tl.constexpr,
    STAGES: tl.constexpr,
):
    """Return the unnormalised output [M, D], row maxima [M] and row sums [M], all fp32.

    Page ids are loaded one tile ahead and carried: a load whose address depends on another load of
    the same iteration is never buffered by the software pipeline.
    """
    BLOCK_M: tl.constexpr = q.shape[0]
    PADDED_DIM: tl.constexpr = q.shape[1]
    offs_n = tl.arange(0, BLOCK_N)
    offs_d = tl.arange(0, PADDED_DIM)
    inside_dim = (offs_d < HEAD_DIM)[None, :]

    acc = tl.zeros([BLOCK_M, PADDED_DIM], tl.float32)
    row_max = tl.full([BLOCK_M], float("-inf"), tl.float32)
    # Summed over the tile's tokens once at the end, which saves a reduction across warps per tile.
    sums = tl.zeros([BLOCK_M, BLOCK_N], tl.float32)

    page = load_pages(table_row, first_tile * BLOCK_N, seq_len, BLOCK_SIZE, BLOCK_N)
    for kv_tile in tl.range(first_tile, last_tile, num_stages=STAGES):
        start = kv_tile * BLOCK_N
        this_page = page
        page = load_pages(table_row, start + BLOCK_N, seq_len, BLOCK_SIZE, BLOCK_N)
        k_pos = start + offs_n
        cached = k_pos < seq_len
        if WINDOW > 0:
            # Pages before the window may have been freed and hold anything.
            cached = cached & (k_pos >= first_seen)
        offs_kv = this_page.to(tl.int64) * stride_block + (k_pos % BLOCK_SIZE) * stride_token
        ptrs = kv_head_ptr + offs_kv[:, None] + offs_d[None, :]
        mask = cached[:, None] & inside_dim
        k = tl.load(ptrs, mask=mask, other=0)
        v = tl.load(ptrs + HEAD_DIM, mask=mask, other=0)
        if FP8:
            k = tile.decode_e4m3_scaled(k, NATIVE_E4M3).to(q.dtype)
            v = tile.decode_e4m3_scaled(v, NATIVE_E4M3).to(q.dtype)

        scores = tile.log2_scores(tl.dot(q, k.T, input_precision="ieee"), qk_scale, SOFT_CAP)
        if ALIBI:
            scores += tile.alibi_bias(slopes, q_pos, k_pos)
        seen = tile.visible(q_pos, k_pos, WINDOW) & cached[None, :]
        scores = tl.where(seen, scores, float("-inf"))

        new_max = tl.maximum(row_max, tl.max(scores, 1))
        safe_max = tile.finite_max(new_max)
        decay = tl.math.exp2(row_max - safe_max)
        p = tl.math.exp2(scores - safe_max[:, None])
        sums = sums * decay[:, None] + p
        acc = tl.dot(p.to(q.dtype), v, acc * decay[:, None], input_precision="ieee")
        row_max = new_max
    return acc, row_max, tl.sum(sums, 1)
