"""The memory a layer's decode needs beside its inputs: the plan, partial results, counters.

It is allocated once and never grows, so that a captured CUDA graph finds it where it was. Layers
with equal specs share one workspace and one plan per step; they run one after another on a stream.
"""

from dataclasses import dataclass

import torch

from kernels.paged_decode.config import CHUNKS_MAX, ROWS_MAX, DecodeConfig, choose_config
from kernels.spec import (
    INTERPRETER,
    AttentionSpec,
    UnsupportedAttentionError,
    capability_of,
    check,
)

#: Programs of the grid in the interpreter, where each costs milliseconds.
INTERPRETER_WORKERS = 4


@dataclass(frozen=True, slots=True, eq=False)
class DecodeWorkspace:
    """Persistent buffers for `max_rows` rows of up to `max_query_len` query tokens.

    Attributes:
        spec: the layers it serves.
        config: the compiled form, fixed with the workspace.
        capability: of the device.
        max_rows: rows of a step at most.
        max_query_len: query tokens of a row at most; a longer row would write out of bounds.
        workers: programs of the persistent grid.
        share: int32 `[1]`, of the plan.
        row_tiles: int32 `[max_rows + 1]`, of the plan.
        worker_row: int32 `[workers]`, of the plan.
        partial_out: fp32 `[slots, packed_rows, padded_head_dim]`, unnormalised.
        partial_stats: fp32 `[slots, 2, packed_rows]`, maxima in log2 units and sums.
        arrivals: int32 `[max_rows * heads]`, zero between launches.
    """

    spec: AttentionSpec
    config: DecodeConfig
    capability: int
    max_rows: int
    max_query_len: int
    workers: int
    share: torch.Tensor
    row_tiles: torch.Tensor
    worker_row: torch.Tensor
    partial_out: torch.Tensor
    partial_stats: torch.Tensor
    arrivals: torch.Tensor

    @property
    def heads(self) -> int:
        """KV heads times tiles of packed query rows: what is planned for beside rows."""
        return self.spec.num_kv_heads * self.config.m_tiles

    @property
    def packed_rows(self) -> int:
        """Rows of a partial result."""
        return self.partial_stats.shape[2]

    @property
    def nbytes(self) -> int:
        """Device memory of all buffers, bytes."""
        buffers = (self.share, self.row_tiles, self.worker_row, self.arrivals)
        partials = (self.partial_out, self.partial_stats)
        return sum(x.numel() * x.element_size() for x in buffers + partials)


def allocate_workspace(
    spec: AttentionSpec,
    max_rows: int,
    max_query_len: int = 1,
    *,
    batch_invariant: bool = False,
    device: torch.device | str = "cuda",
    workers: int | None = None,
) -> DecodeWorkspace:
    """Allocate what `plan_decode` and `paged_decode` need.

    Args:
        spec: the layers.
        max_rows: rows of a step at most, up to 4096.
        max_query_len: query tokens of a row at most; 1 plus the draft length with speculation.
        batch_invariant: split sequences by their own length alone. It costs 16 partial results per
            row and head of memory (67 MB at 256 rows, 8 KV heads, groups of 4, head_dim 128).
        device: of all tensors.
        workers: programs of the grid; by default as many as the device holds at once.

    Raises:
        UnsupportedAttentionError: an argument that no kernel supports, by name.
    """
    device = torch.device(device)
    capability = capability_of(device)
    check(spec, capability)
    if not 1 <= max_rows <= ROWS_MAX:
        raise UnsupportedAttentionError(f"max_rows {max_rows} is outside 1 to {ROWS_MAX}")
    config = choose_config(spec, max_query_len, capability, batch_invariant=batch_invariant)
    if workers is None:
        workers = _resident_programs(config, capability, device)
    heads = spec.num_kv_heads * config.m_tiles
    packed_rows = min(config.block_m, max_query_len * spec.group_size)
    slots = max_rows * heads * CHUNKS_MAX if batch_invariant else 2 * workers

    def zeros(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=torch.int32, device=device)

    def partials(*shape: int) -> torch.Tensor:
        return torch.empty(shape, dtype=torch.float32, device=device)

    return DecodeWorkspace(
        spec=spec,
        config=config,
        capability=capability,
        max_rows=max_rows,
        max_query_len=max_query_len,
        workers=workers,
        share=zeros(1),
        row_tiles=zeros(max_rows + 1),
        worker_row=zeros(workers),
        partial_out=partials(slots, packed_rows, spec.padded_head_dim),
        partial_stats=partials(slots, 2, packed_rows),
        arrivals=zeros(max_rows * heads),
    )


def _resident_programs(config: DecodeConfig, capability: int, device: torch.device) -> int:
    """One wave of programs."""
    if capability == INTERPRETER:
        return INTERPRETER_WORKERS
    return torch.cuda.get_device_properties(device).multi_processor_count * config.ctas_per_sm
