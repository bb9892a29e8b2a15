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
        decode: the decode kernel's workspace, holding its plan; None where no row is its own.
        decode_seq_lens: int32 `[rows]`, with the prompt rows' lengths set to 0, which hides them.
        query_start_loc: int32 `[rows + 1]`, as planned.
        prefill: the prefill kernel's plan; None where no row is its own.
    """

    decode: DecodeWorkspace | None
    decode_seq_lens: torch.Tensor
    query_start_loc: torch.Tensor
    prefill: PrefillPlan | None


def plan_mixed(
    workspace: DecodeWorkspace,
    seq_lens: torch.Tensor,
    query_start_loc: torch.Tensor,
    shape: StepShape,
    *,
    finite_cache: bool = False,
) -> MixedPlan:
    """Plan one step for every layer of the workspace's spec, without reading the device.

    A step that holds decode rows alone (`shape.max_query_len` within the workspace's) plans only
    decode, into the workspace's persistent memory, and may be captured in a CUDA graph.

    Args:
        workspace: of the decode kernel. Its `max_query_len` divides decode rows from prompts, and
            its batch invariance holds for prompts too.
        seq_lens: int32 `[rows]`, cached tokens of each row, the current query's included; 0 for
            graph padding.
        query_start_loc: int32 `[rows + 1]`, first query token of each row; padding rows repeat the
            last value.
        shape: what the host knows.
        finite_cache: as `plan_prefill` has it: unused slots of pages in use are finite.

    Raises:
        UnsupportedAttentionError: a tensor or the step is beyond what the kernels do.
    """
    limit = workspace.max_query_len
    require(
        seq_lens.shape[0] == shape.rows, f"seq_lens has {seq_lens.shape[0]} rows, not {shape.rows}"
    )
    decode = workspace if shape.min_query_len <= limit else None
    decode_seq_lens = seq_lens
    prefill = None
    if shape.max_query_len > limit:
        decode_seq_lens = torch.where(query_start_loc.diff() > limit, 0, seq_lens)
        prefill = plan_prefill(
            workspace.spec,
            seq_lens,
            query_start_loc,
            PrefillShape(shape.tokens, shape.rows, shape.max_query_len, shape.max_seq_len),
            min_query_len=limit + 1,
            finite_cache=finite_cache,
            batch_invariant=workspace.config.batch_invariant,
        )
    if decode is not None:
        plan_decode(decode, decode_seq_lens, query_start_loc)
    return MixedPlan(decode, decode_seq_lens, query_start_loc, prefill)


def mixed_attention(
    q: torch.Tensor,
    kv_cache: torch.Tensor,
    block_table: torch.Tensor,
    plan: MixedPlan,
    out: torch.Tensor,
    lse: torch.Tensor | None = None,
    *,
    prefill_workspace: tuple[torch.Tensor, torch.Tensor] | None = None,
    k_scale: float = 1.0,
    v_scale: float = 1.0,
    sinks: torch.Tensor | None = None,
    alibi_slopes: torch.Tensor | None = None,
) -> None:
    """Causal attention of each row's last tokens over its pages, as `plan_mixed` planned it.

    Args:
        q: `[tokens, Hq, D]` of the spec's dtype, last stride 1, other strides multiples of 16.
        kv_cache: `[num_blocks, Hkv, block, 2 * D]`, K first then V on the last axis, last stride 1,
            other strides multiples of 16; of the spec's dtype, or uint8 (or float8_e4m3fn) for
            e4m3.
        block_table: int32 `[rows, max_blocks]`, page ids in token order.
        plan: this step's.
        out: `[tokens, Hq, D]`, strides as `q`, written for each token of a row with cached tokens;
            other tokens are left alone.
        lse: None, or fp32 `[tokens, Hq]` contiguous: receives the log-sum-exp of the scores in
            log2 units, the sink's included.
        prefill_workspace: of `plan.prefill.workspace()`, for reuse by the next layer.
        k_scale: what an element of K is multiplied by.
        v_scale: the same for V.
        sinks: fp32 `[Hq]`, natural-log logits; given exactly when the spec has sinks.
        alibi_slopes: fp32 `[Hq]`; given exactly when the spec has ALiBi.

    Raises:
        UnsupportedAttentionError: an argument of the wrong shape, dtype or layout, by name.
    """
    extras = {
        "k_scale": k_scale,
        "v_scale": v_scale,
        "sinks": sinks,
        "alibi_slopes": alibi_slopes,
    }
    if plan.prefill is not None:
        paged_prefill(
            q, kv_cache, block_table, plan.prefill, out, lse, workspace=prefill_workspace, **extras
        )
    if plan.decode is not None:
        paged_decode(
            q,
            kv_cache,
            block_table,
            plan.decode_seq_lens,
            plan.query_start_loc,
            plan.decode,
            out,
            lse,
            **extras,
        )
