"""The grouping as Triton kernels: `grouping.group_rows` on the device, once a step.

Three small launches: every row picks a depth, every row is compared with its leader, one program
forms the groups, opens or closes the gate, and gathers query tokens into rows for the prefix pass.
"""

import triton
import triton.language as tl


@triton.jit
def _context(seq_lens, query_start_loc, rows, inside):
    """Tokens before the query, which all query tokens see; 0 for graph padding."""
    seq_len = tl.load(seq_lens + rows, mask=inside, other=0)
    start = tl.load(query_start_loc + rows, mask=inside, other=0)
    query_len = tl.load(query_start_loc + rows + 1, mask=inside, other=0) - start
    return tl.where(query_len > 0, seq_len - query_len, 0)


@triton.jit
def saved_tokens(count, prefix, SLOTS: tl.constexpr, PARTIAL_TOKENS: tl.constexpr):
    """KV tokens of one head that a group need not read; `grouping.saved_tokens`."""
    return (count - tl.cdiv(count, SLOTS)) * prefix - count * PARTIAL_TOKENS


@triton.jit(
    do_not_specialize=["num_rows", "stride_table"],
    do_not_specialize_on_alignment=["block_table", "seq_lens", "query_start_loc"],
)
def depth_kernel(
    block_table,  # [rows, max_blocks] int32
    seq_lens,  # [rows] int32
    query_start_loc,  # [rows + 1] int32
    depth_out,  # [rows] int32, tokens or 0
    num_rows,
    stride_table,
    BLOCK_SIZE: tl.constexpr,
    DEPTH_FIRST: tl.constexpr,
    DEPTHS: tl.constexpr,
    ROWS_MIN: tl.constexpr,
    SLOTS: tl.constexpr,
    PARTIAL_TOKENS: tl.constexpr,
    BLOCK_R: tl.constexpr,
):
    """One program per row: the depth at which it saves most."""
    row = tl.program_id(0)
    context = _context(seq_lens, query_start_loc, row, row < num_rows)
    best_saved = 0
    best_depth = 0
    depth = DEPTH_FIRST
    for _ in range(DEPTHS):
        if context >= depth:
            page = depth // BLOCK_SIZE - 1
            own = tl.load(block_table + row.to(tl.int64) * stride_table + page)
            count = 0
            for base in range(0, num_rows, BLOCK_R):
                rows = base + tl.arange(0, BLOCK_R)
                inside = rows < num_rows
                deep = _context(seq_lens, query_start_loc, rows, inside) >= depth
                ptrs = block_table + rows.to(tl.int64) * stride_table + page
                other = tl.load(ptrs, mask=inside & deep, other=-1)
                count += tl.sum((other == own).to(tl.int32), 0)
            saved = saved_tokens(count, depth, SLOTS, PARTIAL_TOKENS)
            if (count >= ROWS_MIN) & (saved > best_saved):
                best_saved = saved
                best_depth = depth
        depth *= 4
    tl.store(depth_out + row, best_depth)


@triton.jit(
    do_not_specialize=["num_rows", "stride_table"],
    do_not_specialize_on_alignment=["block_table", "seq_lens", "query_start_loc"],
)
def leader_kernel(
    block_table,
    seq_lens,
    query_start_loc,
    depth_in,  # [rows] int32
    leader_out,  # [rows] int32, -1 for none
    common_out,  # [rows] int32, tokens
    num_rows,
    stride_table,
    BLOCK_SIZE: tl.constexpr,
    GRANULE: tl.constexpr,
    BLOCK_R: tl.constexpr,
):
    """One program per row: its leader, and how much it has in common with it, page by page."""
    row = tl.program_id(0)
    depth = tl.load(depth_in + row)
    leader = -1
    common = 0
    if depth > 0:
        page = depth // BLOCK_SIZE - 1
        own_pages = block_table + row.to(tl.int64) * stride_table
        own = tl.load(own_pages + page)
        leader = row
        for base in range(0, num_rows, BLOCK_R):
            rows = base + tl.arange(0, BLOCK_R)
            inside = rows < num_rows
            peer = tl.load(depth_in + rows, mask=inside, other=0) == depth
            ptrs = block_table + rows.to(tl.int64) * stride_table + page
            other = tl.load(ptrs, mask=inside & peer, other=-1)
            leader = tl.minimum(leader, tl.min(tl.where(other == own, rows, num_rows), 0))
        limit = tl.minimum(
            _context(seq_lens, query_start_loc, row, row < num_rows),
            _context(seq_lens, query_start_loc, leader, leader < num_rows),
        )
        limit = limit // BLOCK_SIZE
        leader_pages = block_table + leader.to(tl.int64) * stride_table
        pages = 0
        equal = limit  # pages before the first that differs
        while (pages < limit) & (equal == limit):
            index = pages + tl.arange(0, BLOCK_R)
            inside = index < limit
            mine = tl.load(own_pages + index, mask=inside, other=0)
            differs = mine != tl.load(leader_pages + index, mask=inside, other=0)
            equal = tl.minimum(equal, tl.min(tl.where(differs, index, limit), 0))
            pages += BLOCK_R
        common = equal * BLOCK_SIZE // GRANULE * GRANULE
        if common < depth:
            leader = -1
    tl.store(leader_out + row, leader)
    tl.store(common_out + row, common)
