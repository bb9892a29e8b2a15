"""The Hopper prefill kernel: one warp group fetches, two attend.

Triton's automatic warp specialisation turns the loop over keys into a producer of TMA loads and two
consumers of 64 query rows each, so that one consumer's softmax runs beside the other's matrix
products. The compiler accepts it only for a loop of this shape:

- Q, K and V come through 2-D tensor descriptors, so a query tile is one head (nothing is packed)
  and a KV tile lies within a page. K and V are two column ranges of the flattened cache.
- Q's descriptor is made here: the compiler divides Q's block between the consumers, which it cannot
  do to a descriptor that the host made. K's and V's is made by the host, once a launch.
- One loop over keys, without a branch in it: every tile pays for its mask.
- 4 warps; the compiler adds the other 8.

The grid is persistent: the fetching warp group goes on to the next item while the others finish
theirs. Items come longest first and are dealt in a zigzag, which keeps the programs' sums close.

Slots of the cache past a row's end are multiplied by a weight of 0, not skipped: they must be
finite, which the caller promises (`finite_cache`).
"""

import triton
import triton.language as tl

from kernels import tile
from kernels.paged_prefill.epilogue import store_tile


@triton.jit(do_not_specialize=["stride_table", "num_tokens"])
def specialised_prefill_kernel(
    q,  # [tokens, Hq, HEAD_DIM], heads dense
    kv_desc,  # descriptor of the flattened cache, blocks [BLOCK_N, HEAD_DIM]
    block_table,  # [rows, max_blocks] int32
    out,  # [tokens, Hq, HEAD_DIM]
    lse,  # [tokens, Hq] fp32, log2 units
    sinks,  # [Hq] fp32
    alibi_slopes,  # [Hq] fp32
    counts,  # [2] int32: items, cuts
    items,  # [items at most, 8] int32, see plan.ITEM_FIELDS
    partial_out,  # [pieces, Hq, BLOCK_M, HEAD_DIM] fp32
    partial_lse,  # [pieces, Hq, BLOCK_M] fp32, log2 units
    num_tokens,
    stride_table,
    stride_q_token,
    stride_out_token,
    stride_out_head,
    block_rows,  # rows of the flattened cache from one page to the next
    head_rows,  # rows from one KV head to the next, and...
    head_cols,  # ...columns; one of the two is 0
    qk_scale,  # scale * k_scale * log2(e)
    v_scale,
    NUM_Q_HEADS: tl.constexpr,
    GROUP: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    WINDOW: tl.constexpr,
    SOFT_CAP: tl.constexpr,
    SINKS: tl.constexpr,
    ALIBI: tl.constexpr,
    CUTS: tl.constexpr,
    WRITE_LSE: tl.constexpr,
):
    """Grid (programs,), any number of them."""
    q_desc = tl.make_tensor_descriptor(
        q, [num_tokens, NUM_Q_HEADS * HEAD_DIM], [stride_q_token, 1], [BLOCK_M, HEAD_DIM]
    )
    offs_m = tl.arange(0, BLOCK_M)
    offs_n = tl.arange(0, BLOCK_N)
    programs = tl.num_programs(0)
    work = tl.load(counts) * NUM_Q_HEADS
    for turn in range(tl.cdiv(work, programs)):
        # Odd turns are dealt backwards. The last turn may deal past the end: an item without keys.
        program = tl.program_id(0)
        place = tl.where(turn % 2 == 0, program, programs - 1 - program)
        at = turn * programs + place
        exists = at < work
        head = at % NUM_Q_HEADS
        item = items + tl.minimum(at, work - 1) // NUM_Q_HEADS * 8
        row = tl.load(item).to(tl.int64)
        first_token = tl.load(item + 1)
        tokens = tl.where(exists, tl.load(item + 2), 0)
        first_pos = tl.load(item + 3)
        lo = tl.load(item + 4)
        hi = tl.where(exists, tl.load(item + 5), lo)
        slot = tl.load(item + 6)
        head_row = head // GROUP * head_rows
        head_col = head // GROUP * head_cols
        table_row = block_table + row * stride_table

        q_tile = q_desc.load([first_token, head * HEAD_DIM])
        q_pos = first_pos + offs_m
        slopes = offs_m
        if ALIBI:
            slope = tl.load(alibi_slopes + head) * tile.LOG2E
            slopes = tl.full([BLOCK_M], 1.0, tl.float32) * slope
        acc = tl.zeros([BLOCK_M, HEAD_DIM], tl.float32)
        total = tl.zeros([BLOCK_M], tl.float32)
        peak = tl.full([BLOCK_M], float("-inf"), tl.float32)
        for key in tl.range(lo, hi, BLOCK_N, warp_specialize=True):
            page = tl.load(table_row + key // BLOCK_SIZE)
            kv_row = page * block_rows + head_row + key % BLOCK_SIZE
            k = kv_desc.load([kv_row, head_col])
            scores = tl.dot(q_tile, k.T)
            k_pos = key + offs_n
            scale = qk_scale
            if SOFT_CAP > 0 or ALIBI:
                scores = tile.log2_scores(scores, qk_scale, SOFT_CAP)
                if ALIBI:
                    scores += tile.alibi_bias(slopes, q_pos, k_pos)
                scale = 1.0
            # Positions from the tile's first key on: one subtraction a row, not one a key.
            seen = tile.visible(q_pos - key, offs_n, WINDOW)
            scores = tl.where(seen, scores, float("-inf"))
            new_peak = tl.maximum(peak, tl.max(scores, 1) * scale)
            anchor = tile.finite_max(new_peak) if CUTS or WINDOW > 0 else new_peak
            p = tl.math.exp2(scores * scale - anchor[:, None])
            decay = tl.math.exp2(peak - anchor)
            total = total * decay + tl.sum(p, 1)
            v = kv_desc.load([kv_row, head_col + HEAD_DIM])
            acc = tl.dot(p.to(q_tile.dtype), v, acc * decay[:, None])
            peak = new_peak
        heads = tl.full([BLOCK_M], 0, tl.int32) + head
        store_tile(
            acc, total, peak, offs_m, heads, first_token, tokens, slot, slot * NUM_Q_HEADS + head,
            out, lse, sinks, partial_out, partial_lse, stride_out_token, stride_out_head, v_scale,
            NUM_Q_HEADS, HEAD_DIM, SINKS, CUTS, WRITE_LSE, False,
        )  # fmt: skip
