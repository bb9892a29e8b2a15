"""One step of a serving engine: decode rows and prompt rows in one batch, in any order.

A row whose query is no longer than the decode workspace was made for is a decode row: it is bound
by bytes and belongs to `paged_decode`. Every other row belongs to `paged_prefill`. Each kernel
sees the whole batch and passes over the other's rows, so nothing is sorted, copied or read back.
"""

from dataclasses import dataclass

import torch

from kernels.arguments import require
from kernels.paged_decode import DecodeWorkspace, paged_decode, plan_decode
from kernels.paged_prefill import PrefillPlan, PrefillShape, paged_prefill, plan_prefill
from kernels.shared_prefix import (
    SharedPrefixWorkspace,
    plan_shared_prefix,
    shared_prefix_decode,
)
from kernels.tensors import LayerTensors


@dataclass(frozen=True, slots=True)
class StepShape:
    """What the host knows of a step without asking the device.

    Attributes:
        tokens: query tokens, padding included.
        rows: rows, padding included.
        min_query_len: the shortest row's query tokens, padding rows aside, or a lower bound.
        max_query_len: the longest row's query tokens, or an upper bound.
        max_seq_len: the longest row's tokens in the cache, or an upper bound.
    """

    tokens: int
    rows: int
    min_query_len: int
    max_query_len: int
    max_seq_len: int


@dataclass(frozen=True, slots=True, eq=False)
class MixedPlan:
    """One step's plan for layers of one spec.

    Attributes:
        decode: the decode kernel's workspace, or that of shared prefixes, holding its plan; None
            where no row is its own.
        decode_seq_lens: int32 `[rows]`, with the prompt rows' lengths set to 0, which hides them.
        query_start_loc: int32 `[rows + 1]`, as planned.
        prefill: the prefill kernel's plan; None where no row is its own.
    """

    decode: DecodeWorkspace | SharedPrefixWorkspace | None
    decode_seq_lens: torch.Tensor
    query_start_loc: torch.Tensor
    prefill: PrefillPlan | None


def plan_mixed(
    workspace: DecodeWorkspace | SharedPrefixWorkspace,
    block_table: torch.Tensor,
    seq_lens: torch.Tensor,
    query_start_loc: torch.Tensor,
    shape: StepShape,
    *,
    finite_cache: bool = False,
) -> MixedPlan:
    """Plan one step for every layer of the workspace's spec, without reading the device.

    A step that holds decode rows alone (`shape.max_query_len` within the workspace's) plans only
    decode, into the workspace's persistent memory, and may be captured in a CUDA graph. Which
    workspace is given decides which launches are captured: one of shared prefixes always takes two.

    Args:
        workspace: of the decode kernel, or of shared prefixes. Its `max_query_len` divides decode
            rows from prompts, and its batch invariance holds for prompts too.
        block_table: int32 `[rows, max_blocks]`, page ids in token order; rows share a prefix where
            their leading ids are equal.
        seq_lens: int32 `[rows]`, cached tokens of each row, the current query's included; 0 for
            graph padding.
        query_start_loc: int32 `[rows + 1]`, first query token of each row; padding rows repeat the
            last value.
        shape: what the host knows.
        finite_cache: as `plan_prefill` has it: unused slots of pages in use are finite.

    Raises:
        UnsupportedAttentionError: a tensor or the step is beyond what the kernels do.
    """
    rows = seq_lens.shape[0]
    require(rows == shape.rows, f"seq_lens has {rows} rows, not {shape.rows}")
    plain = workspace.suffix if isinstance(workspace, SharedPrefixWorkspace) else workspace
    limit = plain.max_query_len
    decode_seq_lens = seq_lens
    prefill = None
    if shape.max_query_len > limit:
        decode_seq_lens = torch.where(query_start_loc.diff() > limit, 0, seq_lens)
        prefill = plan_prefill(
            plain.spec,
            seq_lens,
            query_start_loc,
            PrefillShape(shape.tokens, shape.rows, shape.max_query_len, shape.max_seq_len),
            min_query_len=limit + 1,
            finite_cache=finite_cache,
            batch_invariant=plain.config.batch_invariant,
        )
    if shape.min_query_len > limit:
        return MixedPlan(None, decode_seq_lens, query_start_loc, prefill)
    if isinstance(workspace, SharedPrefixWorkspace):
        plan_shared_prefix(workspace, block_table, decode_seq_lens, query_start_loc)
    else:
        plan_decode(workspace, decode_seq_lens, query_start_loc)
    return MixedPlan(workspace, decode_seq_lens, query_start_loc, prefill)


def mixed_attention(
    tensors: LayerTensors,
    plan: MixedPlan,
    *,
    scratch: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> None:
    """Causal attention of each row's last tokens over its pages, as `plan_mixed` planned it.

    Args:
        tensors: of the layer; the class says shapes, dtypes, layouts and units.
        plan: this step's.
        scratch: of `plan.prefill.scratch()`, for reuse by the next layer.

    Raises:
        UnsupportedAttentionError: an argument of the wrong shape, dtype or layout, by name.
    """
    rows = (plan.decode_seq_lens, plan.query_start_loc)
    if plan.prefill is not None:
        paged_prefill(tensors, plan.prefill, scratch=scratch)
    if isinstance(plan.decode, SharedPrefixWorkspace):
        shared_prefix_decode(tensors, *rows, plan.decode)
    elif plan.decode is not None:
        paged_decode(tensors, *rows, plan.decode)
