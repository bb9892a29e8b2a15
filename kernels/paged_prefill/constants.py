"""Compile-time constants of the prefill kernels, for launching and for compiling ahead of time."""

from typing import Any

from kernels.paged_prefill.config import PrefillConfig
from kernels.paged_prefill.plan import PlanRules
from kernels.spec import AttentionSpec, native_e4m3

#: Rows that one merge program handles: fp32 tiles of 16 x 256 in the registers of 4 warps.
MERGE_ROWS = 16


def planner_constants(rules: PlanRules, tiles: int, rows: int) -> dict[str, Any]:
    """Constants of `plan_kernel` for at most `tiles` tiles (at least 1) in `rows` rows."""
    return {
        "BLOCK_Q": rules.block_q,
        "BLOCK_N": rules.block_n,
        "WINDOW": rules.window,
        "TILES": max(16, 1 << (tiles - 1).bit_length()),
        "ROW_BITS": (rows - 1).bit_length(),
        "CUTS": rules.cut_budget > 0,
    }


def attention_constants(
    spec: AttentionSpec, config: PrefillConfig, capability: int, *, lse: bool
) -> dict[str, Any]:
    """Constants of `paged_prefill_kernel` or `specialised_prefill_kernel`."""
    constants = {
        "NUM_Q_HEADS": spec.num_q_heads,
        "GROUP": spec.group_size,
        "HEAD_DIM": spec.head_dim,
        "BLOCK_SIZE": spec.block_size,
        "BLOCK_M": config.block_m,
        "BLOCK_N": config.block_n,
        "WINDOW": spec.sliding_window,
        "SOFT_CAP": spec.soft_cap,
        "SINKS": spec.sinks,
        "ALIBI": spec.alibi,
        "CUTS": config.cut_budget > 0,
        "WRITE_LSE": lse,
    }
    if config.specialised:
        return constants
    return constants | {
        "PACKED": config.packed,
        "PADDED_DIM": spec.padded_head_dim,
        "FP8": spec.kv_dtype == "fp8_e4m3",
        "NATIVE_E4M3": native_e4m3(capability),
    }


def merge_constants(spec: AttentionSpec, config: PrefillConfig, *, lse: bool) -> dict[str, Any]:
    """Constants of `merge_kernel`."""
    return {
        "NUM_Q_HEADS": spec.num_q_heads,
        "PACKED": config.packed,
        "HEAD_DIM": spec.head_dim,
        "PADDED_DIM": spec.padded_head_dim,
        "BLOCK_M": config.block_m,
        "BLOCK_R": MERGE_ROWS,
        "SINKS": spec.sinks,
        "WRITE_LSE": lse,
    }


def launch_options(config: PrefillConfig) -> dict[str, Any]:
    """Options of the attention kernels."""
    return {
        "num_warps": config.num_warps,
        "num_stages": config.num_stages,
        # Triton 3.10 turns this off by default; the softmax's subtraction counts on it.
        "enable_fp_fusion": True,
    }
