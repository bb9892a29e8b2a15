"""The last step of grouping on the device: groups, the gate, and gathered query tokens.

The prefix pass sees *gathered rows*: each holds up to SLOTS rows of one group, QUERY_LEN tokens
each. A group of n rows fills ceil(n / SLOTS) of them; slots left over hold token -1.
"""

import triton
import triton.language as tl

from kernels.shared_prefix.grouper import saved_tokens


@triton.jit
def _count_members(
    leaders, commons, rows, leader, num_rows, BLOCK_R: tl.constexpr, BLOCK_J: tl.constexpr
):
    """Of each row's group, `[BLOCK_R]` each: its size, the row's rank in it, its prefix."""
    size = tl.zeros([BLOCK_R], tl.int32)
    rank = tl.zeros([BLOCK_R], tl.int32)
    prefix = tl.full([BLOCK_R], 2**30, tl.int32)
    for base in range(0, num_rows, BLOCK_J):
        peers = base + tl.arange(0, BLOCK_J)
        peer_leader = tl.load(leaders + peers, mask=peers < num_rows, other=-2)
        peer_common = tl.load(commons + peers, mask=peers < num_rows, other=0)
        same = leader[:, None] == peer_leader[None, :]
        size += tl.sum(same.to(tl.int32), 1)
        rank += tl.sum((same & (peers[None, :] < rows[:, None])).to(tl.int32), 1)
        prefix = tl.minimum(prefix, tl.min(tl.where(same, peer_common[None, :], 2**30), 1))
    return size, rank, prefix


@triton.jit(
    do_not_specialize=["num_rows", "overhead_tokens"],
    do_not_specialize_on_alignment=["seq_lens", "query_start_loc"],
)
def gather_kernel(
    leaders,  # [rows] int32, -1 for none
    commons,  # [rows] int32, tokens in common with the leader
    seq_lens,  # [rows] int32
    query_start_loc,  # [rows + 1] int32
    first_gathered,  # [rows] int32, scratch
    skip_lens,  # [rows] int32, out: tokens that the prefix pass attends to for each row
    prefix_lens,  # [rows] int32, out: tokens of each gathered row, 0 where there is none
    table_rows,  # [rows] int32, out: the row whose pages a gathered row reads
    gather_token,  # [rows * SLOTS * QUERY_LEN] int32, out
    gather_pos,  # the same, out: positions of the tokens in their sequences
    gather_place,  # the same, out: row times QUERY_LEN plus which of its tokens
    num_rows,
    overhead_tokens,
    ROWS_MIN: tl.constexpr,
    SLOTS: tl.constexpr,
    QUERY_LEN: tl.constexpr,
    PARTIAL_TOKENS: tl.constexpr,
    BLOCK_R: tl.constexpr,
    BLOCK_J: tl.constexpr,
):
    """One program: every thread has rows, and groups are agreed on by comparing all with all."""
    rows = tl.arange(0, BLOCK_R)
    inside = rows < num_rows
    leader = tl.load(leaders + rows, mask=inside, other=-1)
    size, rank, prefix = _count_members(leaders, commons, rows, leader, num_rows, BLOCK_R, BLOCK_J)
    saved = saved_tokens(size, prefix, SLOTS, PARTIAL_TOKENS)
    shared = (leader >= 0) & (size >= ROWS_MIN) & (saved > 0)
    leads = shared & (leader == rows)
    worthwhile = tl.sum(tl.where(leads, saved, 0), 0) >= overhead_tokens
    shared = shared & (tl.zeros([BLOCK_R], tl.int32) + worthwhile.to(tl.int32) > 0)

    gathered_rows = tl.where(leads, tl.cdiv(size, SLOTS), 0)
    before = tl.cumsum(gathered_rows, 0) - gathered_rows
    tl.store(first_gathered + rows, before, mask=inside)
    tl.store(prefix_lens + rows, 0, mask=inside)
    tl.store(skip_lens + rows, tl.where(shared, prefix, 0), mask=inside)
    tl.debug_barrier()  # what other threads stored is read, and overwritten, from here on

    first = tl.load(first_gathered + tl.maximum(leader, 0), mask=shared, other=0)
    gathered = first + rank // SLOTS
    opens = shared & (rank % SLOTS == 0)
    tl.store(prefix_lens + gathered, prefix, mask=opens)
    tl.store(table_rows + gathered, leader, mask=opens)

    start = tl.load(query_start_loc + rows, mask=inside, other=0)
    query_len = tl.load(query_start_loc + rows + 1, mask=inside, other=0) - start
    position = tl.load(seq_lens + rows, mask=inside, other=0) - query_len
    room = tl.cdiv(size, SLOTS) * SLOTS  # slots of the whole group
    for j in tl.static_range(QUERY_LEN):
        slot = ((first * SLOTS) + rank) * QUERY_LEN + j
        there = j < query_len
        tl.store(gather_token + slot, tl.where(there, start + j, -1), mask=shared)
        tl.store(gather_pos + slot, position + j, mask=shared)
        tl.store(gather_place + slot, rows * QUERY_LEN + j, mask=shared)
        # A group has ROWS_MIN rows or more, which take turns to empty the slots left over.
        for turn in tl.static_range((SLOTS + ROWS_MIN - 1) // ROWS_MIN):
            left_over = rank + size * (turn + 1)
            slot = (first * SLOTS + left_over) * QUERY_LEN + j
            tl.store(gather_token + slot, -1, mask=shared & (left_over < room))
