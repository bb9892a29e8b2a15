"""The planner as a Triton kernel: `plan.plan` on the device, once a step for all layers."""

import triton
import triton.language as tl


@triton.jit
def row_span(seq_len, query_len, skip_len, block_n: tl.constexpr, window: tl.constexpr):
    """First tile and one past the last that a row needs; equal when it needs none."""
    first = skip_len // block_n
    if window > 0:
        first = tl.maximum(first, (seq_len - query_len - window + 1) // block_n)
    last = tl.cdiv(seq_len, block_n)
    empty = (seq_len == 0) | (query_len == 0)
    return tl.where(empty, 0, first), tl.where(empty, 0, last)


@triton.jit
def _row_tiles(
    seq_lens,
    query_start_loc,
    skip_lens,
    rows,
    num_rows,
    SKIP: tl.constexpr,
    BLOCK_N: tl.constexpr,
    WINDOW: tl.constexpr,
):
    """Tiles of one head of each row, `[BLOCK_R]`; 0 beyond the batch."""
    inside = rows < num_rows
    seq_len = tl.load(seq_lens + rows, mask=inside, other=0)
    start = tl.load(query_start_loc + rows, mask=inside, other=0)
    end = tl.load(query_start_loc + rows + 1, mask=inside, other=0)
    skip_len = seq_len * 0
    if SKIP:
        skip_len = tl.load(skip_lens + rows, mask=inside, other=0)
    first, last = row_span(seq_len, end - start, skip_len, BLOCK_N, WINDOW)
    return last - first


@triton.jit(
    do_not_specialize=["num_rows", "workers"],
    do_not_specialize_on_alignment=["seq_lens", "query_start_loc"],
)
def planner_kernel(
    seq_lens,  # [rows] int32
    query_start_loc,  # [rows + 1] int32
    skip_lens,  # [rows] int32, multiples of BLOCK_N; unused without SKIP
    share_out,  # [1] int32
    row_tiles_out,  # [rows + 1] int32
    worker_row_out,  # [workers] int32
    num_rows,
    workers,
    HEADS: tl.constexpr,
    SKIP: tl.constexpr,
    BLOCK_N: tl.constexpr,
    WINDOW: tl.constexpr,
    SHARE_MIN: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_W: tl.constexpr,
):
    """Each program finds the rows of BLOCK_W workers; program 0 also writes what all share."""
    offs_r = tl.arange(0, BLOCK_R)
    total = 0
    for base in range(0, num_rows, BLOCK_R):
        rows = base + offs_r
        tiles = _row_tiles(
            seq_lens, query_start_loc, skip_lens, rows, num_rows, SKIP, BLOCK_N, WINDOW
        )
        total += tl.sum(tiles, 0)
    share = tl.maximum(tl.cdiv(total * HEADS, workers), SHARE_MIN)

    leader = tl.program_id(0) == 0
    worker = tl.program_id(0) * BLOCK_W + tl.arange(0, BLOCK_W)
    row = tl.zeros([BLOCK_W], tl.int32)
    before = 0
    for base in range(0, num_rows, BLOCK_R):
        rows = base + offs_r
        tiles = _row_tiles(
            seq_lens, query_start_loc, skip_lens, rows, num_rows, SKIP, BLOCK_N, WINDOW
        )
        ends = before + tl.cumsum(tiles, 0)
        # A share begins in the row after all rows that end at or before it.
        passed = (ends[:, None] * HEADS <= (worker * share)[None, :]) & (rows < num_rows)[:, None]
        row += tl.sum(passed.to(tl.int32), 0)
        if leader:
            tl.store(row_tiles_out + 1 + rows, ends, mask=rows < num_rows)
        before += tl.sum(tiles, 0)

    tl.store(worker_row_out + worker, row, mask=worker < workers)
    if leader:
        tl.store(row_tiles_out, 0)
        tl.store(share_out, share)
