"""One step's plan for the layers of one spec, and the memory that outlives the step."""

from dataclasses import dataclass

import torch
from vllm.v1.attention.backend import AttentionMetadata

from kernels.mixed import MixedPlan, StepShape, mixed_attention, plan_mixed
from kernels.paged_decode import DecodeWorkspace, allocate_workspace
from kernels.paged_prefill import PrefillPlan, PrefillShape, paged_prefill, plan_prefill
from kernels.shared_prefix import (
    SharedPrefixWorkspace,
    allocate_shared_workspace,
    could_share,
)
from kernels.shared_prefix.gate import OVERHEAD_BYTES
from kernels.spec import (
    INTERPRETER,
    AttentionSpec,
    UnsupportedAttentionError,
    capability_of,
)
from kernels.tensors import LayerTensors


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """What an engine's steps stay within, and how it wants them computed.

    Attributes:
        max_rows: rows of a step.
        max_decode_query_len: query tokens of a decode row: 1, and the drafts.
        max_seq_len: tokens of a sequence.
        batch_invariant: a token's bits must not depend on who shares its step.
        share_prefixes: decode rows with equal leading pages read them once, where it pays.
        shared_overhead_bytes: what the device could read while a prefix pass starts and ends; the
            gate of `kernels.shared_prefix` weighs it.
    """

    max_rows: int
    max_decode_query_len: int
    max_seq_len: int
    batch_invariant: bool = False
    share_prefixes: bool = False
    shared_overhead_bytes: int = OVERHEAD_BYTES


@dataclass(frozen=True, slots=True, eq=False)
class StepPlan:
    """What `attend` needs beside a layer's own tensors.

    Attributes:
        plan: of all rows; of the prefill kernel alone in batch-invariant mode.
        scratch: room for the pieces of cut prompt tiles, shared by the step's layers, or None.
    """

    plan: MixedPlan | PrefillPlan
    scratch: tuple[torch.Tensor, torch.Tensor] | None

    def attend(self, tensors: LayerTensors) -> None:
        """Attention of every row."""
        if isinstance(self.plan, PrefillPlan):
            paged_prefill(tensors, self.plan, scratch=self.scratch)
        else:
            mixed_attention(tensors, self.plan, scratch=self.scratch)


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

    Where shared prefixes are asked for, which decode kernels a step launches follows from its
    number of rows and the engine's longest sequence, never from the lengths at hand: a graph that
    was captured at a size replays the same launches, and `plan` must plan for those.
    """

    def __init__(self, spec: AttentionSpec, limits: EngineLimits, device: torch.device) -> None:
        """Allocate for steps within an engine's limits.

        Raises:
            UnsupportedAttentionError: the spec or the limits are beyond what the kernels do, batch
                invariance and shared prefixes are both asked for, or the interpreter is asked for
                bf16, which it computes wrongly.
        """
        if capability_of(device) == INTERPRETER and spec.dtype == torch.bfloat16:
            raise UnsupportedAttentionError(
                "dtype bfloat16: Triton's interpreter computes it wrongly; use float32 or float16"
            )
        if limits.batch_invariant and limits.share_prefixes:
            raise UnsupportedAttentionError(
                "shared_prefix: a row's bits then depend on whom it shares with, which "
                "batch invariance forbids"
            )
        self._spec, self._limits = spec, limits
        self._decode: DecodeWorkspace | None = None
        self._shared: SharedPrefixWorkspace | None = None
        sizes = (limits.max_rows, limits.max_decode_query_len)
        # A window ends before a prefix is worth reading once: such layers have none to share.
        if limits.share_prefixes and not spec.sliding_window:
            cost = limits.shared_overhead_bytes
            self._shared = allocate_shared_workspace(
                spec, *sizes, overhead_bytes=cost, device=device
            )
            self._decode = self._shared.suffix
        elif not limits.batch_invariant:
            self._decode = allocate_workspace(spec, *sizes, device=device)

    def plan(
        self,
        block_table: torch.Tensor,
        seq_lens: torch.Tensor,
        query_start_loc: torch.Tensor,
        shape: StepShape,
    ) -> StepPlan:
        """Plan one step, without reading the device.

        Caches of vLLM are allocated as zeros and written by `cache_write` alone, which writes
        nothing infinite: so the prefill kernel's promise of a finite cache can be given.
        """
        if self._decode is None:
            plan = plan_prefill(
                self._spec,
                seq_lens,
                query_start_loc,
                PrefillShape(shape.tokens, shape.rows, shape.max_query_len, shape.max_seq_len),
                finite_cache=True,
                batch_invariant=True,
            )
            return StepPlan(plan, plan.scratch())
        workspace = self._decode
        if self._shared is not None and could_share(shape.rows, self._limits.max_seq_len):
            workspace = self._shared
        mixed = plan_mixed(
            workspace, block_table, seq_lens, query_start_loc, shape, finite_cache=True
        )
        return StepPlan(mixed, None if mixed.prefill is None else mixed.prefill.scratch())
