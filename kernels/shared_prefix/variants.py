"""The compiled forms of shared-prefix decode that a runtime would choose."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from kernels.paged_decode.variants import LLAMA, attention_variant, planner_variant
from kernels.shared_prefix.gate import OVERHEAD_BYTES, grouping_rules
from kernels.shared_prefix.gatherer import gather_kernel
from kernels.shared_prefix.grouper import depth_kernel, leader_kernel
from kernels.shared_prefix.launch import (
    GATHER_WARPS,
    depth_constants,
    gather_constants,
    leader_constants,
)
from kernels.shared_prefix.workspace import ROWS_MAX
from kernels.spec import AttentionSpec
from kernels.variant import Variant, pointer

#: What layers ask for: name, spec, query tokens of a row at most.
CASES: tuple[tuple[str, AttentionSpec, int], ...] = (
    *((f"d{dim}", replace(LLAMA, head_dim=dim), 1) for dim in (64, 128, 192, 256)),
    ("d128-page128", replace(LLAMA, block_size=128), 1),
    ("d128-query4", LLAMA, 4),
    ("d128-fp8", replace(LLAMA, kv_dtype="fp8_e4m3"), 1),
    ("d64-sinks", replace(LLAMA, head_dim=64, sinks=True), 1),
    ("d128-alibi", replace(LLAMA, alibi=True), 1),
    ("d256-softcap", replace(LLAMA, head_dim=256, soft_cap=50.0), 1),
)

_INTEGERS = ("num_rows", "stride_table", "overhead_tokens")
_SLICED = ("block_table", "seq_lens", "query_start_loc")


def variants(capability: int) -> Iterator[Variant]:
    """Both passes of every case, then the kernels that group and plan."""
    for name, spec, max_query_len in CASES:
        rules = grouping_rules(spec, max_query_len, capability, OVERHEAD_BYTES)
        slot_tokens = rules.slots * max_query_len
        yield attention_variant(
            f"{name}-prefix", spec, slot_tokens, capability, role="prefix", lse=True
        )
        yield attention_variant(f"{name}-suffix", spec, max_query_len, capability, role="suffix")
    rules = grouping_rules(LLAMA, 1, capability, OVERHEAD_BYTES)
    yield _grouping_variant("depth", depth_kernel, depth_constants(rules))
    yield _grouping_variant("leader", leader_kernel, leader_constants(rules))
    gather = gather_constants(rules, ROWS_MAX, 1)
    yield _grouping_variant("gather", gather_kernel, gather, num_warps=GATHER_WARPS)
    yield planner_variant("planner-suffix", LLAMA, capability, skip=True)


def _grouping_variant(
    name: str, kernel: Any, constexprs: Mapping[str, Any], *, num_warps: int = 4
) -> Variant:
    """A grouping kernel: every tensor is int32."""
    types = dict.fromkeys(constexprs, "constexpr") | dict.fromkeys(_INTEGERS, "i32")
    signature = {n: types.get(n, pointer(torch.int32)) for n in kernel.arg_names}
    aligned = tuple(n for n, t in signature.items() if t.startswith("*") and n not in _SLICED)
    options = {"num_warps": num_warps}
    return Variant(name, kernel, signature, constexprs, options, aligned)
