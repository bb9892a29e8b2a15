"""Decode of rows that share leading pages: the prefix is read once for many of them."""

from dataclasses import replace

import torch

from kernels.arguments import check_rows, require
from kernels.paged_decode.launch import launch_attention, launch_planner
from kernels.shared_prefix.launch import launch_grouping
from kernels.shared_prefix.workspace import SharedPrefixWorkspace
from kernels.tensors import LayerTensors


def plan_shared_prefix(
    workspace: SharedPrefixWorkspace,
    block_table: torch.Tensor,
    seq_lens: torch.Tensor,
    query_start_loc: torch.Tensor,
) -> None:
    """Group one step's rows and plan both passes, on the device, for all layers of the step.

    Five small launches, no synchronisation: they may be captured in a CUDA graph. `could_share`
    says from sizes alone when they, and the prefix pass, can only cost; decode such a step with
    `paged_decode`.

    Args:
        workspace: receives the plan.
        block_table: int32 `[rows, max_blocks]`, page ids in token order. Rows share a prefix where
            their leading ids are equal.
        seq_lens: int32 `[rows]`, cached tokens of each row, the current query's included; 0 for
            graph padding.
        query_start_loc: int32 `[rows + 1]`, first query token of each row; padding rows repeat the
            last value. No row may have more query tokens than the workspace was allocated for.

    Raises:
        UnsupportedAttentionError: more rows than the workspace has room for, or a wrong dtype.
    """
    check_rows(workspace.max_rows, seq_lens, query_start_loc)
    fits = block_table.dtype == torch.int32 and block_table.stride(1) == 1
    require(fits, "block_table must be int32 [rows, max_blocks] with a last stride of 1")
    launch_grouping(workspace, block_table, seq_lens, query_start_loc)
    rows = seq_lens.shape[0]
    launch_planner(
        workspace.prefix,
        workspace.prefix_lens[:rows],
        workspace.gathered_start_loc[: rows + 1],
        workspace.gathered,
    )
    launch_planner(workspace.suffix, seq_lens, query_start_loc, workspace.skipped)


def shared_prefix_decode(
    tensors: LayerTensors,
    seq_lens: torch.Tensor,
    query_start_loc: torch.Tensor,
    workspace: SharedPrefixWorkspace,
) -> None:
    """Causal attention of each row's last tokens, as `plan_shared_prefix` planned it.

    Cascade inference (Ye et al., 2024; Hydragen, Juravsky et al., 2024): one pass attends to each
    group's prefix with the query tokens of many rows in one tile, a second to the rest of each row,
    merging the first's result by log-sum-exp as it finishes. Two launches; the first finds nothing
    to do where the gate is closed. A row's bits depend on whom it shares with: for batch-invariant
    results use `paged_decode`.

    Args:
        tensors: of the layer; the class says shapes, dtypes, layouts and units. Its block table is
            the one that was planned.
        seq_lens: int32 `[rows]`, the tensor that was planned.
        query_start_loc: int32 `[rows + 1]`, the tensor that was planned.
        workspace: allocated for the layer's spec, holding this step's plan.

    Raises:
        UnsupportedAttentionError: an argument of the wrong shape, dtype or layout, by name.
    """
    rows = seq_lens.shape[0]
    check_rows(workspace.max_rows, seq_lens, query_start_loc)
    tensors = tensors.checked(workspace.spec, rows)
    skipped = workspace.skipped
    # A sink joins the denominator once, in the second pass.
    prefix = replace(tensors, out=skipped.prefix_out, lse=skipped.prefix_lse, sinks=None)
    launch_attention(
        workspace.prefix,
        prefix,
        workspace.prefix_lens[:rows],
        workspace.gathered_start_loc[: rows + 1],
        workspace.gathered,
    )
    launch_attention(workspace.suffix, tensors, seq_lens, query_start_loc, skipped)
