"""One step's plan for the layers of one spec, and the memory that outlives the step."""

from dataclasses import dataclass
from typing import Any

import torch
from vllm.v1.attention.backend import AttentionMetadata

from kernels.mixed import MixedPlan, StepShape, mixed_attention, plan_mixed
from kernels.paged_decode import DecodeWorkspace, allocate_workspace
from kernels.paged_prefill import PrefillPlan, PrefillShape, paged_prefill, plan_prefill
from kernels.spec import (
    INTERPRETER,
    AttentionSpec,
    UnsupportedAttentionError,
    capability_of,
)


@dataclass(frozen=True, slots=True, eq=False)
class StepPlan:
    """What `attend` needs beside a layer's own tensors.

    Attributes:
        plan: of all rows; of the prefill kernel alone in batch-invariant mode.
        scratch: room for the pieces of cut prompt tiles, shared by the step's layers, or None.
    """

    plan: MixedPlan | PrefillPlan
    scratch: tuple[torch.Tensor, torch.Tensor] | None

    def attend(
        self,
        q: torch.Tensor,
        kv_cache: torch.Tensor,
        block_table: torch.Tensor,
        out: torch.Tensor,
        extras: dict[str, Any],
    ) -> None:
        """Attention of every row; arguments as `mixed_attention` has them."""
        if isinstance(self.plan, PrefillPlan):
            paged_prefill(
                q, kv_cache, block_table, self.plan, out, workspace=self.scratch, **extras
            )
        else:
            mixed_attention(
                q, kv_cache, block_table, self.plan, out, prefill_workspace=self.scratch, **extras
            )


@dataclass(frozen=True, slots=True)
class SpillwayMetadata(AttentionMetadata):
    """What vLLM hands from the builder to every layer of a group.

    Attributes:
        num_actual_tokens: query tokens of the step, graph padding included.
        block_table: int32 `[rows, max_blocks]`.
        plans: by the spec of the layer.
    """

    num_actual_tokens: int
    block_table: torch.Tensor
    plans: dict[AttentionSpec, StepPlan]


class Planner:
    """Plans steps for the layers of one spec, in memory that a captured graph finds again.

    Batch-invariant, every row goes to the prefill kernel, whatever its query's length: the bits of
    a token then depend on its own sequence alone. They are the same whether the token was decoded,
    or computed again within a chunk of a prompt after preemption, or on another replica. The
    balanced mode gives decode rows a kernel of their own, which splits them over the chip.
    """

    def __init__(
        self,
        spec: AttentionSpec,
        *,
        max_rows: int,
        max_decode_query_len: int,
        batch_invariant: bool,
        device: torch.device,
    ) -> None:
        """Allocate for steps of up to `max_rows` rows.

        Raises:
            UnsupportedAttentionError: the spec or the sizes are beyond what the kernels do, or the
                interpreter is asked for bf16, which it computes wrongly.
        """
        if capability_of(device) == INTERPRETER and spec.dtype == torch.bfloat16:
            raise UnsupportedAttentionError(
                "dtype bfloat16: Triton's interpreter computes it wrongly; use float32 or float16"
            )
        self._spec = spec
        self._workspace: DecodeWorkspace | None = None
        if not batch_invariant:
            self._workspace = allocate_workspace(
                spec, max_rows, max_decode_query_len, device=device
            )

    def plan(
        self, seq_lens: torch.Tensor, query_start_loc: torch.Tensor, shape: StepShape
    ) -> StepPlan:
        """Plan one step, without reading the device.

        Caches of vLLM are allocated as zeros and written by `cache_write` alone, which writes
        nothing infinite: so the prefill kernel's promise of a finite cache can be given.
        """
        if self._workspace is None:
            plan = plan_prefill(
                self._spec,
                seq_lens,
                query_start_loc,
                PrefillShape(shape.tokens, shape.rows, shape.max_query_len, shape.max_seq_len),
                finite_cache=True,
                batch_invariant=True,
            )
            return StepPlan(plan, plan.workspace())
        mixed = plan_mixed(self._workspace, seq_lens, query_start_loc, shape, finite_cache=True)
        return StepPlan(mixed, None if mixed.prefill is None else mixed.prefill.workspace())
