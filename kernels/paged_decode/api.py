"""Paged decode: a few query tokens per row over a long paged cache."""

import torch

from kernels.arguments import check_rows
from kernels.paged_decode.launch import Whole, launch_attention, launch_planner
from kernels.paged_decode.workspace import DecodeWorkspace
from kernels.tensors import LayerTensors


def plan_decode(
    workspace: DecodeWorkspace, seq_lens: torch.Tensor, query_start_loc: torch.Tensor
) -> None:
    """Plan one step on the device; every layer that shares the workspace then uses the plan.

    One small launch, no synchronisation: it may be captured in a CUDA graph, and a replay plans
    anew from what the two tensors hold then.

    Args:
        workspace: receives the plan.
        seq_lens: int32 `[rows]`, cached tokens of each row, the current query's included; 0 for
            graph padding.
        query_start_loc: int32 `[rows + 1]`, first query token of each row; padding rows repeat the
            last value. No row may have more than `workspace.max_query_len` query tokens.

    Raises:
        UnsupportedAttentionError: more rows than the workspace has room for.
    """
    check_rows(workspace.max_rows, seq_lens, query_start_loc)
    launch_planner(workspace, seq_lens, query_start_loc, Whole())


def paged_decode(
    tensors: LayerTensors,
    seq_lens: torch.Tensor,
    query_start_loc: torch.Tensor,
    workspace: DecodeWorkspace,
) -> None:
    """Causal attention of each row's last tokens over its pages, as `plan_decode` planned it.

    Flash-decoding (Dao et al., 2023) with shares cut as LeanAttention (Sanovar et al., 2024) does,
    partial results merged by whichever program finishes last. One launch, no synchronisation, no
    allocation.

    Args:
        tensors: of the layer; the class says shapes, dtypes, layouts and units.
        seq_lens: int32 `[rows]`, the tensor that was planned.
        query_start_loc: int32 `[rows + 1]`, the tensor that was planned.
        workspace: allocated for the layer's spec, holding this step's plan.

    Raises:
        UnsupportedAttentionError: an argument of the wrong shape, dtype or layout, by name.
    """
    check_rows(workspace.max_rows, seq_lens, query_start_loc)
    tensors = tensors.checked(workspace.spec, seq_lens.shape[0])
    launch_attention(workspace, tensors, seq_lens, query_start_loc, Whole())
