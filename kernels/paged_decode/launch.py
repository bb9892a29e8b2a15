"""Launching both decode kernels in any role, arguments already checked."""

import math
from dataclasses import dataclass
from typing import Any

import torch

from kernels.paged_decode.config import CHUNKS_MAX, DecodeConfig
from kernels.paged_decode.kernel import paged_decode_kernel
from kernels.paged_decode.planner import planner_kernel
from kernels.paged_decode.workspace import DecodeWorkspace
from kernels.spec import AttentionSpec, e4m3_factor, native_e4m3
from kernels.tensors import LayerTensors

LOG2E = math.log2(math.e)
#: The planner's tile of rows and workers: 64 comparisons for each thread of 4 warps.
PLANNER_ROWS, PLANNER_WORKERS = 256, 32


@dataclass(frozen=True, slots=True)
class Whole:
    """Attend to all of each row."""

    name = "whole"


@dataclass(frozen=True, slots=True)
class Prefix:
    """Attend to shared prefixes, with query tokens gathered from many rows; V stays unscaled.

    Attributes:
        gather_token: int32 `[slots]`, the token of each slot, -1 where there is none.
        gather_pos: int32 `[slots]`, the position of that token in its sequence.
        gather_place: int32 `[slots]`, the place of its result: row times query length, plus which
            of the row's query tokens it is.
        table_rows: int32 `[rows]`, the row whose pages hold the prefix.
    """

    gather_token: torch.Tensor
    gather_pos: torch.Tensor
    gather_place: torch.Tensor
    table_rows: torch.Tensor
    name = "prefix"


@dataclass(frozen=True, slots=True)
class Suffix:
    """Attend to what follows a shared prefix, and merge the prefix's result.

    Attributes:
        skip_lens: int32 `[rows]`, tokens of the prefix, a multiple of the KV tile; 0 for none.
        prefix_out: fp32 `[places, Hq, D]`, contiguous.
        prefix_lse: fp32 `[places, Hq]`, contiguous, log2 units.
    """

    skip_lens: torch.Tensor
    prefix_out: torch.Tensor
    prefix_lse: torch.Tensor
    name = "suffix"


Role = Whole | Prefix | Suffix


def launch_planner(
    workspace: DecodeWorkspace,
    seq_lens: torch.Tensor,
    query_start_loc: torch.Tensor,
    role: Role,
) -> None:
    """Plan `seq_lens.shape[0]` rows into the workspace."""
    skip = isinstance(role, Suffix)
    planner_kernel[(-(-workspace.workers // PLANNER_WORKERS),)](
        seq_lens,
        query_start_loc,
        role.skip_lens if isinstance(role, Suffix) else workspace.arrivals,
        workspace.share,
        workspace.row_tiles,
        workspace.worker_row,
        seq_lens.shape[0],
        workspace.workers,
        **planner_constants(workspace.spec, workspace.config, skip=skip),
    )


def launch_attention(
    workspace: DecodeWorkspace,
    tensors: LayerTensors,
    seq_lens: torch.Tensor,
    query_start_loc: torch.Tensor,
    role: Role,
) -> None:
    """Attend to `seq_lens.shape[0]` rows as the workspace's plan says."""
    spec, config = workspace.spec, workspace.config
    q, out, kv_cache = tensors.q, tensors.out, tensors.kv_cache
    cache_factor = 1.0 if spec.kv_dtype == "same" else e4m3_factor(workspace.capability)
    # These stand in for tensors that the compiled form never touches.
    unused, unused_fp32 = workspace.arrivals, workspace.partial_stats
    gathered, skipped = (unused,) * 4, (unused, unused_fp32, unused_fp32)
    if isinstance(role, Prefix):
        gathered = (role.gather_token, role.gather_pos, role.gather_place, role.table_rows)
    elif isinstance(role, Suffix):
        skipped = (role.skip_lens, role.prefix_out, role.prefix_lse)
    optional = (tensors.lse, tensors.sinks, tensors.alibi_slopes)
    paged_decode_kernel[(workspace.workers,)](
        q,
        kv_cache,
        tensors.block_table,
        seq_lens,
        query_start_loc,
        out,
        *(unused_fp32 if tensor is None else tensor for tensor in optional),
        workspace.share,
        workspace.row_tiles,
        workspace.worker_row,
        workspace.partial_out,
        workspace.partial_stats,
        workspace.arrivals,
        *gathered,
        *skipped,
        seq_lens.shape[0],
        tensors.block_table.stride(0),
        *q.stride()[:2],
        *out.stride()[:2],
        *kv_cache.stride()[:3],
        spec.scale * tensors.k_scale * cache_factor * LOG2E,
        # A prefix's result is merged before the suffix's pass scales both.
        1.0 if isinstance(role, Prefix) else tensors.v_scale * cache_factor,
        **attention_constants(
            spec,
            config,
            workspace.capability,
            role=role.name,
            packed_rows=workspace.packed_rows,
            query_len=workspace.max_query_len,
            sinks=tensors.sinks is not None,
            lse=tensors.lse is not None,
        ),
        **config.launch_options,
    )


def planner_constants(
    spec: AttentionSpec, config: DecodeConfig, *, skip: bool = False
) -> dict[str, Any]:
    """Compile-time constants of `planner_kernel`."""
    return {
        "HEADS": spec.num_kv_heads * config.m_tiles,
        "SKIP": skip,
        "BLOCK_N": config.block_n,
        "WINDOW": spec.sliding_window,
        "SHARE_MIN": config.share_tiles_min,
        "BLOCK_R": PLANNER_ROWS,
        "BLOCK_W": PLANNER_WORKERS,
    }


def attention_constants(
    spec: AttentionSpec,
    config: DecodeConfig,
    capability: int,
    *,
    role: str,
    packed_rows: int,
    query_len: int,
    sinks: bool,
    lse: bool,
) -> dict[str, Any]:
    """Compile-time constants of `paged_decode_kernel`."""
    return {
        "ROLE": role,
        "NUM_KV_HEADS": spec.num_kv_heads,
        "GROUP": spec.group_size,
        "M_TILES": config.m_tiles,
        "HEAD_DIM": spec.head_dim,
        "PADDED_DIM": spec.padded_head_dim,
        "BLOCK_SIZE": spec.block_size,
        "BLOCK_M": config.block_m,
        "BLOCK_N": config.block_n,
        "PACKED_ROWS": packed_rows,
        # Places of a shared prefix's results; elsewhere nothing shall differ by it.
        "QUERY_LEN": query_len if role == Suffix.name else 0,
        "WINDOW": spec.sliding_window,
        "SOFT_CAP": spec.soft_cap,
        "SINKS": sinks,
        "ALIBI": spec.alibi,
        "FP8": spec.kv_dtype == "fp8_e4m3",
        "NATIVE_E4M3": native_e4m3(capability),
        "WRITE_LSE": lse,
        "CHUNK_MIN": config.chunk_tiles_min,
        "CHUNKS_MAX": CHUNKS_MAX,
        "MERGE_UNROLL": config.merge_unroll,
        "STAGES": config.num_stages,
    }
