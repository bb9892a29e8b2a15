"""Compile-time constants of the grouping kernels, and their launches."""

from typing import Any

import torch
import triton

from kernels.shared_prefix.gatherer import gather_kernel
from kernels.shared_prefix.grouper import depth_kernel, leader_kernel
from kernels.shared_prefix.grouping import DEPTHS, GROUP_ROWS_MIN, GroupingRules
from kernels.shared_prefix.workspace import SharedPrefixWorkspace

#: Rows or pages that one program of the first two kernels compares at a time.
BLOCK_R = 256
#: Peers compared at a time when groups are formed, and warps that do it: 32 comparisons per thread
#: at 1024 rows, twice as many spill.
BLOCK_J, GATHER_WARPS = 8, 8


def launch_grouping(
    workspace: SharedPrefixWorkspace,
    block_table: torch.Tensor,
    seq_lens: torch.Tensor,
    query_start_loc: torch.Tensor,
) -> None:
    """Group the step's rows and gather their query tokens."""
    depths, leaders, commons, first_gathered = workspace.grouping
    rows, stride = seq_lens.shape[0], block_table.stride(0)
    rules, gathered = workspace.rules, workspace.gathered
    inputs = (block_table, seq_lens, query_start_loc)
    depth_kernel[(rows,)](*inputs, depths, rows, stride, **depth_constants(rules))
    leader_kernel[(rows,)](
        *inputs, depths, leaders, commons, rows, stride, **leader_constants(rules)
    )
    gather_kernel[(1,)](
        leaders,
        commons,
        seq_lens,
        query_start_loc,
        first_gathered,
        workspace.skipped.skip_lens,
        workspace.prefix_lens,
        gathered.table_rows,
        gathered.gather_token,
        gathered.gather_pos,
        gathered.gather_place,
        rows,
        rules.overhead_tokens,
        **gather_constants(rules, workspace.max_rows, workspace.suffix.max_query_len),
        num_warps=GATHER_WARPS,
    )


def depth_constants(rules: GroupingRules) -> dict[str, Any]:
    """Constants of `depth_kernel`."""
    return {
        "BLOCK_SIZE": rules.block_size,
        "DEPTH_FIRST": DEPTHS[0],
        "DEPTHS": len(DEPTHS),
        "ROWS_MIN": GROUP_ROWS_MIN,
        "SLOTS": rules.slots,
        "PARTIAL_TOKENS": rules.partial_tokens,
        "BLOCK_R": BLOCK_R,
    }


def leader_constants(rules: GroupingRules) -> dict[str, Any]:
    """Constants of `leader_kernel`."""
    return {"BLOCK_SIZE": rules.block_size, "GRANULE": rules.granule, "BLOCK_R": BLOCK_R}


def gather_constants(rules: GroupingRules, max_rows: int, max_query_len: int) -> dict[str, Any]:
    """Constants of `gather_kernel`."""
    return {
        "ROWS_MIN": GROUP_ROWS_MIN,
        "SLOTS": rules.slots,
        "QUERY_LEN": max_query_len,
        "PARTIAL_TOKENS": rules.partial_tokens,
        "BLOCK_R": max(BLOCK_J, triton.next_power_of_2(max_rows)),
        "BLOCK_J": BLOCK_J,
    }
