"""The decode kernel: a persistent program walks its share of the plan, piece by piece.

It runs in three roles. "whole" attends to all of each row. "prefix" attends to what groups of rows
share, with each group's query tokens gathered into rows of its own. "suffix" attends to the rest of
each row and merges the prefix's result. `kernels.shared_prefix` uses the last two.
"""

import triton
import triton.language as tl

from kernels import tile
from kernels.paged_decode.attend import attend
from kernels.paged_decode.merge import finish, merge_partials, merge_prefix, store_partial
from kernels.paged_decode.planner import row_span


@triton.jit
def _find_piece(
    at,
    end,
    row,
    row_tiles,
    worker,
    share,
    HEADS: tl.constexpr,
    CHUNK_MIN: tl.constexpr,
    CHUNKS_MAX: tl.constexpr,
):
    """The piece at position `at` of the line of tiles; `plan.pieces` explains each number."""
    row_start = tl.load(row_tiles + row) * HEADS
    tiles = tl.load(row_tiles + row + 1) - row_start // HEADS
    head = (at - row_start) // tiles
    head_start = row_start + head * tiles
    if CHUNK_MIN > 0:
        size = tl.maximum(tl.cdiv(tiles, CHUNKS_MAX), CHUNK_MIN)
        index = tl.cdiv(at - head_start, size)
        first = tl.minimum(index * size, tiles)
        last = tl.minimum(first + size, tiles)
        count = tl.cdiv(tiles, size)
        first_slot = (row * HEADS + head) * CHUNKS_MAX
        next_slot = first_slot + 1
        slot = first_slot + index
    else:
        first = at - head_start
        last = tl.minimum(end - head_start, tiles)
        owner = head_start // share
        index = worker - owner
        count = (head_start + tiles - 1) // share - owner + 1
        first_slot = 2 * owner + 1
        next_slot = 2 * owner + 2
        slot = tl.where(index == 0, first_slot, 2 * worker)
    return head, head_start, first, last, count, slot, first_slot, next_slot


@triton.jit
def _locate(
    row, head, seq_lens, query_start_loc, gather_token, gather_pos, gather_place, table_rows,
    ROLE: tl.constexpr, GROUP: tl.constexpr, M_TILES: tl.constexpr, BLOCK_M: tl.constexpr,
    QUERY_LEN: tl.constexpr,
):  # fmt: skip
    """What the packed rows [M] of one tile are: query token major, head of the group minor.

    Returns their tokens, query heads, positions, whether they exist, and the place of each token
    among the results of shared prefixes; then the row whose pages hold the keys.
    """
    packed = (head % M_TILES) * BLOCK_M + tl.arange(0, BLOCK_M)
    q_head = head // M_TILES * GROUP + packed % GROUP
    q_start = tl.load(query_start_loc + row)
    q_len = tl.load(query_start_loc + row + 1) - q_start
    token = q_start + packed // GROUP
    q_pos = tl.load(seq_lens + row) - q_len + packed // GROUP
    valid = packed // GROUP < q_len
    place = row * QUERY_LEN + packed // GROUP
    table_row = row
    if ROLE == "prefix":
        q_pos = tl.load(gather_pos + token, mask=valid, other=0)
        place = tl.load(gather_place + token, mask=valid, other=0)
        token = tl.load(gather_token + token, mask=valid, other=-1)
        valid = token >= 0
        table_row = tl.load(table_rows + row)
    return token, q_head, q_pos, valid, place, table_row


@triton.jit
def _load_query(
    q_rows,  # [M] each packed row's first element
    slope_ptrs,  # [M]
    offs_d,
    valid,
    valid_2d,
    qk_scale,
    ALIBI: tl.constexpr,
    FP8: tl.constexpr,
):
    """The packed query tile [M, D], the factor on its scores, and its ALiBi slopes [M]."""
    q_tile = tl.load(q_rows[:, None] + offs_d[None, :], mask=valid_2d, other=0.0)
    row_scale = qk_scale
    if FP8 and q_tile.dtype == tl.bfloat16:
        q_tile, power = tile.fit_fp16(q_tile)
        row_scale = (power * qk_scale)[:, None]
    slopes = tl.zeros([valid.shape[0]], tl.float32)
    if ALIBI:
        slopes = tl.load(slope_ptrs, mask=valid, other=0.0) * tile.LOG2E
    return q_tile, row_scale, slopes


@triton.jit
def _merge_if_last(
    acc, row_max, row_sum, valid, arrival, count, slot, first_slot, next_slot,
    partial_out, partial_stats,
    PACKED_ROWS: tl.constexpr, PADDED_DIM: tl.constexpr, CHUNK_MIN: tl.constexpr,
    MERGE_UNROLL: tl.constexpr,
):  # fmt: skip
    """Leave one of `count` pieces for whoever is last; the last gets all of them merged.

    Returns whether this is the last, or the only, piece, and then the merged result.
    """
    complete = count == 1
    if count > 1:
        store_partial(partial_out, partial_stats, slot, acc, row_max, row_sum, valid, PACKED_ROWS)
        # Every thread's stores come before the one thread's release.
        tl.debug_barrier()
        complete = tl.atomic_add(arrival, 1, sem="acq_rel", scope="gpu") == count - 1
        if complete:
            tl.store(arrival, 0)  # as the next launch, or graph replay, expects it
            acc, row_max, row_sum = merge_partials(
                partial_out, partial_stats, first_slot, next_slot, 1 if CHUNK_MIN > 0 else 2,
                count, valid, PACKED_ROWS, PADDED_DIM, MERGE_UNROLL,
            )  # fmt: skip
    return complete, acc, row_max, row_sum


@triton.jit
def _write(
    acc, row_max, row_sum, token, q_head, place, valid, valid_2d, skip_len,
    out, lse, sinks, prefix_out, prefix_lse, stride_out_token, stride_out_head, v_scale,
    ROLE: tl.constexpr, NUM_HEADS: tl.constexpr, HEAD_DIM: tl.constexpr, SINKS: tl.constexpr,
    WRITE_LSE: tl.constexpr,
):  # fmt: skip
    """Normalise and write a finished (row, head): to its tokens, a shared prefix's to its places.

    A suffix first merges what its prefix has left.
    """
    offs_d = tl.arange(0, acc.shape[1])
    at = place if ROLE == "prefix" else token
    if ROLE == "suffix":
        acc, row_max, row_sum = merge_prefix(
            acc, row_max, row_sum, prefix_out, prefix_lse, place * NUM_HEADS + q_head,
            valid & (place * 0 + skip_len > 0), HEAD_DIM,
        )  # fmt: skip
    sink = tl.zeros([acc.shape[0]], tl.float32)
    if SINKS:
        sink = tl.load(sinks + q_head, mask=valid, other=0.0) * tile.LOG2E
    result, row_lse = finish(acc, row_max, row_sum, sink, v_scale, SINKS)
    offs_o = at.to(tl.int64) * stride_out_token + q_head * stride_out_head
    out_ptrs = out + offs_o[:, None] + offs_d[None, :]
    tl.store(out_ptrs, result.to(out.dtype.element_ty), mask=valid_2d)
    if WRITE_LSE:
        tl.store(lse + at * NUM_HEADS + q_head, row_lse, mask=valid)


@triton.jit(
    do_not_specialize=["num_rows", "stride_table"],
    # An engine passes slices of its step's tensors, which begin anywhere.
    do_not_specialize_on_alignment=["block_table", "seq_lens", "query_start_loc"],
)
def paged_decode_kernel(
    q,  # [tokens, Hq, HEAD_DIM]
    kv_cache,  # [num_blocks, Hkv, BLOCK_SIZE, 2 * HEAD_DIM]
    block_table,  # [rows, max_blocks] int32
    seq_lens,  # [rows] int32
    query_start_loc,  # [rows + 1] int32
    out,  # [tokens, Hq, HEAD_DIM]; prefix: [places, Hq, HEAD_DIM] fp32
    lse,  # [tokens, Hq] fp32, log2 units; prefix: [places, Hq]
    sinks,  # [Hq] fp32
    alibi_slopes,  # [Hq] fp32
    share_ptr,  # the plan: see planner_kernel
    row_tiles,
    worker_row,
    partial_out,  # [slots, PACKED_ROWS, PADDED_DIM] fp32
    partial_stats,  # [slots, 2, PACKED_ROWS] fp32
    arrivals,  # [rows * HEADS] int32, zero between launches
    gather_token,  # prefix: [slots] int32, the token of each gathered slot or -1
    gather_pos,  # prefix: [slots] int32, its position in its sequence
    gather_place,  # prefix: [slots] int32, where its result goes
    table_rows,  # prefix: [rows] int32, whose pages to read
    skip_lens,  # suffix: [rows] int32, tokens the prefix pass has attended to
    prefix_out,  # suffix: [rows * QUERY_LEN, Hq, HEAD_DIM] fp32
    prefix_lse,  # suffix: [rows * QUERY_LEN, Hq] fp32, log2 units
    num_rows, stride_table, stride_q_token, stride_q_head, stride_out_token, stride_out_head,
    stride_kv_block, stride_kv_head, stride_kv_token,
    qk_scale,  # scale * k_scale * log2 e
    v_scale,
    ROLE: tl.constexpr, NUM_KV_HEADS: tl.constexpr, GROUP: tl.constexpr, M_TILES: tl.constexpr,
    HEAD_DIM: tl.constexpr, PADDED_DIM: tl.constexpr, BLOCK_SIZE: tl.constexpr,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, PACKED_ROWS: tl.constexpr,
    QUERY_LEN: tl.constexpr, WINDOW: tl.constexpr, SOFT_CAP: tl.constexpr, SINKS: tl.constexpr,
    ALIBI: tl.constexpr, FP8: tl.constexpr, NATIVE_E4M3: tl.constexpr, WRITE_LSE: tl.constexpr,
    CHUNK_MIN: tl.constexpr, CHUNKS_MAX: tl.constexpr, MERGE_UNROLL: tl.constexpr,
    STAGES: tl.constexpr,
):  # fmt: skip
    """Attend to every piece of this program's share; whoever finishes a (row, head) merges it."""
    HEADS: tl.constexpr = NUM_KV_HEADS * M_TILES
    worker = tl.program_id(0)
    share = tl.load(share_ptr)
    row = tl.load(worker_row + worker)
    at = worker * share
    end = tl.minimum(at + share, tl.load(row_tiles + num_rows) * HEADS)
    offs_d = tl.arange(0, PADDED_DIM)

    while at < end:
        while tl.load(row_tiles + row + 1) * HEADS <= at:
            row += 1
        head, head_start, first, last, count, slot, first_slot, next_slot = _find_piece(
            at, end, row, row_tiles, worker, share, HEADS, CHUNK_MIN, CHUNKS_MAX
        )
        at = head_start + last
        if (first < last) & (head_start + first < end):
            seq_len = tl.load(seq_lens + row)
            q_len = tl.load(query_start_loc + row + 1) - tl.load(query_start_loc + row)
            skip_len = tl.load(skip_lens + row) if ROLE == "suffix" else 0
            token, q_head, q_pos, valid, place, table_row = _locate(
                row, head, seq_lens, query_start_loc, gather_token, gather_pos, gather_place,
                table_rows, ROLE, GROUP, M_TILES, BLOCK_M, QUERY_LEN,
            )  # fmt: skip
            valid_2d = valid[:, None] & (offs_d < HEAD_DIM)[None, :]
            q_tile, row_scale, slopes = _load_query(
                q + token.to(tl.int64) * stride_q_token + q_head * stride_q_head,
                alibi_slopes + q_head, offs_d, valid, valid_2d, qk_scale, ALIBI, FP8,
            )  # fmt: skip
            span_first, _ = row_span(seq_len, q_len, skip_len, BLOCK_N, WINDOW)
            acc, row_max, row_sum = attend(
                q_tile, q_pos, slopes,
                kv_cache + (head // M_TILES).to(tl.int64) * stride_kv_head,
                block_table + table_row.to(tl.int64) * stride_table,
                stride_kv_block, stride_kv_token, span_first + first, span_first + last,
                seq_len, seq_len - q_len - WINDOW + 1, row_scale,
                HEAD_DIM, BLOCK_SIZE, BLOCK_N, WINDOW, SOFT_CAP, ALIBI, FP8, NATIVE_E4M3, STAGES,
            )  # fmt: skip
            complete, acc, row_max, row_sum = _merge_if_last(
                acc, row_max, row_sum, valid, arrivals + row * HEADS + head, count, slot,
                first_slot, next_slot, partial_out, partial_stats,
                PACKED_ROWS, PADDED_DIM, CHUNK_MIN, MERGE_UNROLL,
            )  # fmt: skip
            if complete:
                _write(
                    acc, row_max, row_sum, token, q_head, place, valid, valid_2d, skip_len,
                    out, lse, sinks, prefix_out, prefix_lse, stride_out_token, stride_out_head,
                    v_scale, ROLE, NUM_KV_HEADS * GROUP, HEAD_DIM, SINKS, WRITE_LSE,
                )  # fmt: skip
