"""Compile-time constants of both decode kernels, for launching and for ahead-of-time compiling."""

from typing import Any

from kernels.paged_decode.config import CHUNKS_MAX, DecodeConfig
from kernels.spec import AttentionSpec, native_e4m3

#: The planner's tile of rows and workers: 64 comparisons for each thread of 4 warps.
PLANNER_ROWS, PLANNER_WORKERS = 256, 32


def planner_constants(spec: AttentionSpec, config: DecodeConfig) -> dict[str, Any]:
    """Constants of `planner_kernel`."""
    return {
        "HEADS": spec.num_kv_heads * config.m_tiles,
        "BLOCK_N": config.block_n,
        "WINDOW": spec.sliding_window,
        "SHARE_MIN": config.share_tiles_min,
        "BLOCK_R": PLANNER_ROWS,
        "BLOCK_W": PLANNER_WORKERS,
    }


def attention_constants(
    spec: AttentionSpec, config: DecodeConfig, capability: int, *, max_query_len: int, lse: bool
) -> dict[str, Any]:
    """Constants of `paged_decode_kernel`."""
    return {
        "NUM_KV_HEADS": spec.num_kv_heads,
        "GROUP": spec.group_size,
        "M_TILES": config.m_tiles,
        "HEAD_DIM": spec.head_dim,
        "PADDED_DIM": spec.padded_head_dim,
        "BLOCK_SIZE": spec.block_size,
        "BLOCK_M": config.block_m,
        "BLOCK_N": config.block_n,
        "PACKED_ROWS": min(config.block_m, max_query_len * spec.group_size),
        "WINDOW": spec.sliding_window,
        "SOFT_CAP": spec.soft_cap,
        "SINKS": spec.sinks,
        "ALIBI": spec.alibi,
        "FP8": spec.kv_dtype == "fp8_e4m3",
        "NATIVE_E4M3": native_e4m3(capability),
        "WRITE_LSE": lse,
        "CHUNK_MIN": config.chunk_tiles_min,
        "CHUNKS_MAX": CHUNKS_MAX,
        "MERGE_UNROLL": config.merge_unroll,
        "STAGES": config.num_stages,
    }
