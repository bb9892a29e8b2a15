"""The plain prefill kernel: any page, any head dim, every feature, every architecture.

One program attends one query tile of `PACKED` query heads of one KV head to one range of keys, as
an item of the plan says. Packing heads reads K and V once for all of them, and lets a short query
fill the tensor core's rows.
"""

import triton
import triton.language as tl

from kernels import tile
from kernels.paged_prefill.epilogue import store_tile


@triton.jit
def _page_ids(table_row, key, last, BLOCK_N: tl.constexpr, BLOCK_SIZE: tl.constexpr):
    """Page ids of the KV tile at `key`: one where a page holds whole tiles, else one per token."""
    if BLOCK_N <= BLOCK_SIZE:
        token = tl.minimum(key, last)
    else:
        token = tl.minimum(key + tl.arange(0, BLOCK_N), last)
    return tl.load(table_row + token // BLOCK_SIZE)


@triton.jit
def _attend(
    acc, total, peak, pages,  # carried from tile to tile
    q, q_pos, slopes, kv_head_ptr, table_row, lo, hi, first_seen, last, qk_scale,
    stride_kv_block, stride_kv_token,
    MASKED: tl.constexpr, GUARDED: tl.constexpr, BLOCK_N: tl.constexpr,
    HEAD_DIM: tl.constexpr, PADDED_DIM: tl.constexpr, BLOCK_SIZE: tl.constexpr,
    WINDOW: tl.constexpr, SOFT_CAP: tl.constexpr, ALIBI: tl.constexpr, FP8: tl.constexpr,
    NATIVE_E4M3: tl.constexpr,
):  # fmt: skip
    """Attend keys `[lo, hi)`, with `pages` the ids of the tile at `lo`; return what is carried.

    Page ids are loaded one tile ahead: a load whose address depends on another load of the same
    iteration is never buffered by the software pipeline.
    """
    offs_n = tl.arange(0, BLOCK_N)
    offs_d = tl.arange(0, PADDED_DIM)
    for key in tl.range(lo, hi, BLOCK_N):
        next_pages = _page_ids(table_row, key + BLOCK_N, last, BLOCK_N, BLOCK_SIZE)
        k_pos = key + offs_n
        offs_kv = pages.to(tl.int64) * stride_kv_block + (k_pos % BLOCK_SIZE) * stride_kv_token
        ptrs = kv_head_ptr + offs_kv[:, None] + offs_d[None, :]
        inside = None
        if MASKED:
            inside = (k_pos <= last)[:, None]
            if WINDOW > 0:
                # Pages before the window may have been freed and hold anything.
                inside = inside & (k_pos >= first_seen)[:, None]
        if PADDED_DIM != HEAD_DIM:
            inside_dim = (offs_d < HEAD_DIM)[None, :]
            inside = inside & inside_dim if MASKED else inside_dim
        k = tile.load_kv(ptrs, inside, q.dtype, FP8, NATIVE_E4M3)
        scores = tl.dot(q, k.T, input_precision="ieee")
        scale = qk_scale
        if SOFT_CAP > 0 or ALIBI:
            scores = tile.log2_scores(scores, qk_scale, SOFT_CAP)
            if ALIBI:
                scores += tile.alibi_bias(slopes, q_pos, k_pos)
            scale = 1.0
        if MASKED:
            scores = tl.where(tile.visible(q_pos, k_pos, WINDOW), scores, float("-inf"))
        # The scale is positive: it commutes with the maximum, and joins the subtraction as an fma.
        new_peak = tl.maximum(peak, tl.max(scores, 1) * scale)
        anchor = tile.finite_max(new_peak) if GUARDED else new_peak
        p = tl.math.exp2(scores * scale - anchor[:, None])
        decay = tl.math.exp2(peak - anchor)
        total = total * decay + tl.sum(p, 1)
        v = tile.load_kv(ptrs + HEAD_DIM, inside, q.dtype, FP8, NATIVE_E4M3)
        acc = tl.dot(p.to(q.dtype), v, acc * decay[:, None], input_precision="ieee")
        peak = new_peak
        pages = next_pages
    return acc, total, peak, pages


@triton.jit(do_not_specialize=["stride_table"])
def paged_prefill_kernel(
    q,  # [tokens, Hq, HEAD_DIM]
    kv_cache,  # [num_blocks, Hkv, BLOCK_SIZE, 2 * HEAD_DIM]
    block_table,  # [rows, max_blocks] int32
    out,  # [tokens, Hq, HEAD_DIM]
    lse,  # [tokens, Hq] fp32, log2 units
    sinks,  # [Hq] fp32
    alibi_slopes,  # [Hq] fp32
    counts,  # [2] int32: items, cuts
    items,  # [items at most, 8] int32, see plan.ITEM_FIELDS
    partial_out,  # [pieces, Hq / PACKED, BLOCK_M, HEAD_DIM] fp32
    partial_lse,  # [pieces, Hq / PACKED, BLOCK_M] fp32, log2 units
    stride_table,
    stride_q_token,
    stride_q_head,
    stride_out_token,
    stride_out_head,
    stride_kv_block,
    stride_kv_head,
    stride_kv_token,
    qk_scale,  # scale * k_scale * log2(e)
    v_scale,
    NUM_Q_HEADS: tl.constexpr,
    GROUP: tl.constexpr,
    PACKED: tl.constexpr,
    HEAD_DIM: tl.constexpr,
    PADDED_DIM: tl.constexpr,
    BLOCK_SIZE: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_N: tl.constexpr,
    WINDOW: tl.constexpr,
    SOFT_CAP: tl.constexpr,
    SINKS: tl.constexpr,
    ALIBI: tl.constexpr,
    FP8: tl.constexpr,
    NATIVE_E4M3: tl.constexpr,
    CUTS: tl.constexpr,
    WRITE_LSE: tl.constexpr,
):
    """Grid (Hq / PACKED, items at most): the heads of an item run together and share K and V."""
    head_tile = tl.program_id(0)
    if tl.program_id(1) >= tl.load(counts):
        return
    item = items + tl.program_id(1) * 8
    row = tl.load(item).to(tl.int64)
    first_token = tl.load(item + 1)
    tokens = tl.load(item + 2)
    first_pos = tl.load(item + 3)
    lo = tl.load(item + 4)
    hi = tl.load(item + 5)
    slot = tl.load(item + 6)

    # Rows of the tile: token by token, the packed heads of a token beside each other.
    offs_m = tl.arange(0, BLOCK_M)
    offs_d = tl.arange(0, PADDED_DIM)
    place = offs_m // PACKED
    head = head_tile * PACKED + offs_m % PACKED
    q_pos = first_pos + place
    token = (first_token + place).to(tl.int64)
    q_ptrs = q + (token * stride_q_token + head * stride_q_head)[:, None] + offs_d[None, :]
    inside = (place < tokens)[:, None] & (offs_d < HEAD_DIM)[None, :]
    q_tile = tl.load(q_ptrs, mask=inside, other=0.0)
    slopes = q_pos
    if ALIBI:
        slopes = tl.load(alibi_slopes + head) * tile.LOG2E

    acc = tl.zeros([BLOCK_M, PADDED_DIM], tl.float32)
    total = tl.zeros([BLOCK_M], tl.float32)
    peak = tl.full([BLOCK_M], float("-inf"), tl.float32)
    table_row = block_table + row * stride_table
    kv_head_ptr = kv_cache + (head_tile * PACKED // GROUP).to(tl.int64) * stride_kv_head
    last = hi - 1
    first_seen = tl.maximum(first_pos - WINDOW + 1, 0)
    pages = _page_ids(table_row, lo, last, BLOCK_N, BLOCK_SIZE)
    # A piece of a cut tile, or a window, may show a query no key in its first tiles.
    GUARDED: tl.constexpr = CUTS or WINDOW > 0
    diagonal = lo
    if WINDOW == 0:
        # Every query of the tile sees the keys up to the first query's: whole tiles without masks.
        diagonal = tl.maximum(tl.minimum((first_pos + 1) // BLOCK_N * BLOCK_N, hi), lo)
        acc, total, peak, pages = _attend(
            acc, total, peak, pages, q_tile, q_pos, slopes, kv_head_ptr, table_row,
            lo, diagonal, first_seen, last, qk_scale, stride_kv_block, stride_kv_token,
            False, False, BLOCK_N, HEAD_DIM, PADDED_DIM, BLOCK_SIZE, WINDOW, SOFT_CAP, ALIBI,
            FP8, NATIVE_E4M3,
        )  # fmt: skip
    acc, total, peak, pages = _attend(
        acc, total, peak, pages, q_tile, q_pos, slopes, kv_head_ptr, table_row,
        diagonal, hi, first_seen, last, qk_scale, stride_kv_block, stride_kv_token,
        True, GUARDED, BLOCK_N, HEAD_DIM, PADDED_DIM, BLOCK_SIZE, WINDOW, SOFT_CAP, ALIBI,
        FP8, NATIVE_E4M3,
    )  # fmt: skip
    store_tile(
        acc, total, peak, place, head, first_token, tokens,
        slot, slot * (NUM_Q_HEADS // PACKED) + head_tile,
        out, lse, sinks, partial_out, partial_lse, stride_out_token, stride_out_head, v_scale,
        NUM_Q_HEADS, HEAD_DIM, SINKS, CUTS, WRITE_LSE, True,
    )  # fmt: skip
