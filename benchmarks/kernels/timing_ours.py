"""Our kernels on a problem, as the engine's backend would launch them."""

from collections.abc import Callable

import torch

from benchmarks.kernels.timing_problem import Problem
from kernels.mixed import StepShape, mixed_attention, plan_mixed
from kernels.paged_decode import allocate_workspace
from kernels.shared_prefix import (
    allocate_shared_workspace,
    plan_shared_prefix,
    shared_prefix_decode,
)
from kernels.tensors import LayerTensors

Launch = Callable[[], None]


def ours(problem: Problem, out: torch.Tensor) -> Launch:
    """A launch of one layer's attention. The plan, made once a step for all layers, is made here.

    Raises:
        UnsupportedAttentionError: the kernels do not do it.
    """
    return _launch(problem, out, finite_cache=True)


def ours_plain(problem: Problem, out: torch.Tensor) -> Launch | None:
    """The same with prompts on the plain path, as a cache that may hold NaN requires.

    Returns:
        None where no row is a prompt, so that there is no choice of path.
    """
    if problem.shape.is_decode:
        return None
    return _launch(problem, out, finite_cache=False)


def _launch(problem: Problem, out: torch.Tensor, *, finite_cache: bool) -> Launch:
    tensors = LayerTensors(problem.q, problem.kv_cache, problem.block_table, out)
    lengths = (problem.seq_lens, problem.query_start_loc)
    rows, device = len(problem.seq_lens), problem.q.device
    if problem.shape.shared:
        # The interpreter's problems are too small for the gate, which weighs a launch's cost.
        cost = {"overhead_bytes": 0} if device.type == "cpu" else {}
        shared = allocate_shared_workspace(problem.spec, rows, device=device, **cost)
        plan_shared_prefix(shared, problem.block_table, *lengths)
        return lambda: shared_prefix_decode(tensors, *lengths, shared)
    queries = problem.shape.query_lens
    workspace = allocate_workspace(problem.spec, rows, device=device)
    shape = StepShape(sum(queries), rows, min(queries), max(queries), max(problem.shape.seq_lens))
    plan = plan_mixed(workspace, problem.block_table, *lengths, shape, finite_cache=finite_cache)
    scratch = None if plan.prefill is None else plan.prefill.scratch()
    return lambda: mixed_attention(tensors, plan, scratch=scratch)
