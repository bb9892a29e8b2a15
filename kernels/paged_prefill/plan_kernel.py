"""The plan of `plan.make_plan`, computed on the device in one program from the device's lengths."""

import triton
import triton.language as tl

from kernels.paged_prefill.plan import TILE_BITS, TILES_MAX

_BITS = tl.constexpr(TILE_BITS)
_MASK = tl.constexpr(TILES_MAX - 1)


@triton.jit
def _locate(
    tile, query_start_loc, seq_lens, rows, min_query_len,
    BLOCK_Q: tl.constexpr, BLOCK_N: tl.constexpr, WINDOW: tl.constexpr, ROW_BITS: tl.constexpr,
):  # fmt: skip
    """Row, query range and key range of each tile number; a number that names no tile has hi = lo.

    Row r owns the numbers from query_start_loc[r] // BLOCK_Q + r on: at least as many as it has
    tiles, and computable without a scan, so the row of a number is found by bisection.
    """
    row = tl.zeros_like(tile)
    for bit in tl.static_range(ROW_BITS):
        further = row + (1 << (ROW_BITS - 1 - bit))
        exists = further < rows
        first = tl.load(query_start_loc + further, mask=exists, other=0) // BLOCK_Q + further
        row = tl.where(exists & (first <= tile), further, row)
    start = tl.load(query_start_loc + row)
    end = tl.load(query_start_loc + row + 1)
    first_token = start + (tile - start // BLOCK_Q - row) * BLOCK_Q
    tokens = tl.minimum(end - first_token, BLOCK_Q)
    first_pos = tl.load(seq_lens + row) - (end - first_token)
    lo = tl.zeros_like(tile)
    if WINDOW > 0:
        lo = tl.maximum(first_pos - WINDOW + 1, 0) // BLOCK_N * BLOCK_N
    exists = (tokens > 0) & (end - start >= min_query_len)
    hi = tl.where(exists, tl.maximum(first_pos + tokens, lo), lo)
    return row, first_token, tokens, first_pos, lo, hi


@triton.jit(do_not_specialize=["rows", "min_query_len", "cut_budget", "chunk_min"])
def plan_kernel(
    query_start_loc,  # [rows + 1] int32
    seq_lens,  # [rows] int32
    counts,  # [2] int32, written: items, cuts
    items,  # [items at most, 8] int32, written
    cuts,  # [cuts at most, 4] int32, written
    rows,
    min_query_len,
    cut_budget,
    chunk_min,
    BLOCK_Q: tl.constexpr,
    BLOCK_N: tl.constexpr,
    WINDOW: tl.constexpr,
    TILES: tl.constexpr,
    ROW_BITS: tl.constexpr,
    CUTS: tl.constexpr,
):
    """Grid (1,). TILES is a power of two, at least `plan.tiles_max`; 2 ** ROW_BITS >= rows."""
    tile = tl.arange(0, TILES)
    row, first_token, tokens, first_pos, lo, hi = _locate(
        tile, query_start_loc, seq_lens, rows, min_query_len, BLOCK_Q, BLOCK_N, WINDOW, ROW_BITS
    )
    cost = tl.cdiv(hi - lo, BLOCK_N)
    # Longest first, and among equals in row order: the complement of the number breaks ties.
    key = tl.sort((cost << _BITS) | (tile ^ _MASK), descending=True)
    cost = key >> _BITS
    row, first_token, tokens, first_pos, lo, hi = _locate(
        (key & _MASK) ^ _MASK,
        query_start_loc, seq_lens, rows, min_query_len, BLOCK_Q, BLOCK_N, WINDOW, ROW_BITS,
    )  # fmt: skip
    per_piece = tl.maximum(cost, 1)
    if CUTS:
        chunk = tl.maximum(chunk_min, tl.cdiv(tl.sum(cost, 0), cut_budget))
        per_piece = tl.maximum(tl.cdiv(cost, tl.maximum(tl.cdiv(cost, chunk), 1)), 1)
    pieces = tl.cdiv(cost, per_piece)
    is_cut = pieces > 1
    kept = tl.where(is_cut, pieces, 0)
    slot = tl.cumsum(kept, 0) - kept
    if CUTS:
        cut = cuts + (tl.cumsum(is_cut.to(tl.int32), 0) - 1) * 4
        tl.store(cut, first_token, mask=is_cut)
        tl.store(cut + 1, tokens, mask=is_cut)
        tl.store(cut + 2, slot, mask=is_cut)
        tl.store(cut + 3, pieces, mask=is_cut)
    tl.store(counts, tl.sum(pieces, 0))
    tl.store(counts + 1, tl.sum(is_cut.to(tl.int32), 0))

    first_item = tl.cumsum(pieces, 0) - pieces
    for piece in range(tl.max(pieces, 0)):
        exists = piece < pieces
        item = items + (first_item + piece) * 8
        piece_lo = lo + piece * per_piece * BLOCK_N
        tl.store(item, row, mask=exists)
        tl.store(item + 1, first_token, mask=exists)
        tl.store(item + 2, tokens, mask=exists)
        tl.store(item + 3, first_pos, mask=exists)
        tl.store(item + 4, piece_lo, mask=exists)
        tl.store(item + 5, tl.minimum(hi, piece_lo + per_piece * BLOCK_N), mask=exists)
        tl.store(item + 6, tl.where(is_cut, slot + piece, -1), mask=exists)
        tl.store(item + 7, 0, mask=exists)
