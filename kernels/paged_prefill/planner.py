"""Planning one step on the device, for all layers of equal spec."""

from dataclasses import dataclass

import torch

from kernels.arguments import check_rows, require
from kernels.paged_prefill.config import PrefillConfig, PrefillShape, choose_config
from kernels.paged_prefill.constants import planner_constants
from kernels.paged_prefill.plan import CUT_FIELDS, ITEM_FIELDS, tiles_max
from kernels.paged_prefill.plan_kernel import plan_kernel
from kernels.spec import INTERPRETER, AttentionSpec, capability_of, check

#: Multiprocessors assumed under the interpreter: few, so that a test's tiles are cut or not by
#: lengths that a test can afford.
INTERPRETER_SM_COUNT = 4


@dataclass(frozen=True, slots=True)
class PrefillPlan:
    """One step's work, on the device.

    Attributes:
        spec: the layer it is for.
        config: the compiled form.
        capability: of the device.
        rows: of the step.
        counts: int32 `[2]`, items and cuts in use.
        items: int32 `[items at most, 8]`, see `plan.ITEM_FIELDS`.
        cuts: int32 `[cuts at most, 4]`, see `plan.CUT_FIELDS`.
    """

    spec: AttentionSpec
    config: PrefillConfig
    capability: int
    rows: int
    counts: torch.Tensor
    items: torch.Tensor
    cuts: torch.Tensor

    def scratch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Fresh room for the pieces of cut tiles, at most twice the budget (plan.py derives it).

        Returns:
            fp32 `[pieces, Hq / packed, block_m, D]` outputs and fp32 `[pieces, Hq / packed,
            block_m]` log-sum-exps; of no elements where nothing can be cut.
        """
        rows = (
            2 * self.config.cut_budget,
            self.spec.num_q_heads // self.config.packed,
            self.config.block_m,
        )
        outputs = torch.empty((*rows, self.spec.head_dim), device=self.counts.device)
        return outputs, torch.empty(rows, device=self.counts.device)


def plan_prefill(
    spec: AttentionSpec,
    seq_lens: torch.Tensor,
    query_start_loc: torch.Tensor,
    shape: PrefillShape,
    *,
    min_query_len: int = 1,
    finite_cache: bool = False,
    batch_invariant: bool = False,
    config: PrefillConfig | None = None,
) -> PrefillPlan:
    """Plan one step: one small launch, without reading the device.

    Args:
        spec: the layer.
        seq_lens: int32 `[rows]`, cached tokens of each row, the current query's included.
        query_start_loc: int32 `[rows + 1]`, first query token of each row. A row without query
            tokens is padding; another row's `seq_lens` is at least its query's length.
        shape: what the host knows. A bound too small loses work, too large costs idle programs.
        min_query_len: rows with a shorter query are skipped, their outputs left alone.
        finite_cache: promise that unused slots of pages in use hold finite numbers (never NaN or
            infinity); allows the specialised path.
        batch_invariant: make a token's bits independent of the step's other rows. It costs the
            cutting of long tiles: a long row alone in a step then keeps few multiprocessors busy.
        config: what to use instead of the choice of `choose_config`, for tests and benchmarks.

    Raises:
        UnsupportedAttentionError: the spec, a tensor or the step is beyond what the kernels do.
    """
    device = seq_lens.device
    capability = capability_of(device)
    check(spec, capability)
    check_rows(shape.rows, seq_lens, query_start_loc)
    require(len(seq_lens) == shape.rows, f"seq_lens has {len(seq_lens)} rows, not {shape.rows}")
    config = config or choose_config(
        spec,
        shape,
        capability,
        sm_count=_sm_count(device, capability),
        finite_cache=finite_cache,
        batch_invariant=batch_invariant,
    )
    tiles = tiles_max(shape.tokens, shape.rows, config.block_q) if shape.rows else 0
    plan = PrefillPlan(
        spec,
        config,
        capability,
        shape.rows,
        torch.zeros(2, dtype=torch.int32, device=device),
        _table(tiles + config.cut_budget, ITEM_FIELDS, device),
        _table(config.cut_budget, CUT_FIELDS, device),
    )
    rules = config.rules(spec, min_query_len)
    if tiles:
        plan_kernel[(1,)](
            query_start_loc,
            seq_lens,
            plan.counts,
            plan.items,
            plan.cuts,
            shape.rows,
            min_query_len,
            config.cut_budget,
            rules.chunk_min,
            **planner_constants(rules, tiles, shape.rows),
            num_warps=8,
        )
    return plan


def _table(rows: int, fields: tuple[str, ...], device: torch.device) -> torch.Tensor:
    return torch.empty((rows, len(fields)), dtype=torch.int32, device=device)


def _sm_count(device: torch.device, capability: int) -> int:
    if capability == INTERPRETER:
        return INTERPRETER_SM_COUNT
    return torch.cuda.get_device_properties(device).multi_processor_count
