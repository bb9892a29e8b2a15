"""The memory shared-prefix decode needs beside its inputs, allocated once."""

from dataclasses import dataclass

import torch

from kernels.paged_decode import DecodeWorkspace, allocate_workspace
from kernels.paged_decode.launch import Prefix, Suffix
from kernels.shared_prefix.gate import OVERHEAD_BYTES, grouping_rules
from kernels.shared_prefix.grouping import GroupingRules
from kernels.spec import AttentionSpec, UnsupportedAttentionError, capability_of, check

#: Rows that the grouping compares all with all in one program.
ROWS_MAX = 1024


@dataclass(frozen=True, slots=True, eq=False)
class SharedPrefixWorkspace:
    """Persistent buffers of both passes and of the grouping.

    Attributes:
        rules: of the grouping.
        max_rows: rows of a step at most.
        suffix: of the pass over what follows a prefix; for rows without one, all of it.
        prefix: of the pass over prefixes.
        grouping: int32 `[4, max_rows]`: depths, leaders, tokens in common, first gathered rows.
        prefix_lens: int32 `[max_rows]`, tokens of each gathered row, 0 where there is none.
        gathered_start_loc: int32 `[max_rows + 1]`, first slot of each gathered row.
        gathered: what the prefix pass gathers.
        skipped: what the suffix pass skips and merges.
    """

    rules: GroupingRules
    max_rows: int
    suffix: DecodeWorkspace
    prefix: DecodeWorkspace
    grouping: torch.Tensor
    prefix_lens: torch.Tensor
    gathered_start_loc: torch.Tensor
    gathered: Prefix
    skipped: Suffix

    @property
    def spec(self) -> AttentionSpec:
        """The layers it serves."""
        return self.suffix.spec


def allocate_shared_workspace(
    spec: AttentionSpec,
    max_rows: int,
    max_query_len: int = 1,
    *,
    overhead_bytes: int = OVERHEAD_BYTES,
    device: torch.device | str = "cuda",
    workers: int | None = None,
) -> SharedPrefixWorkspace:
    """Allocate what `plan_shared_prefix` and `shared_prefix_decode` need.

    Args:
        spec: the layers.
        max_rows: rows of a step at most, up to 1024.
        max_query_len: query tokens of a row at most.
        overhead_bytes: what the device could have read while the prefix pass starts and ends; the
            gate stays closed unless sharing saves more.
        device: of all tensors.
        workers: programs of each pass's grid; by default as many as the device holds at once.

    Raises:
        UnsupportedAttentionError: a sliding window, more query rows than a tile of the prefix pass
            holds twice, or what `paged_decode` does not support; by name.
    """
    device = torch.device(device)
    capability = capability_of(device)
    check(spec, capability)
    if not 1 <= max_rows <= ROWS_MAX:
        raise UnsupportedAttentionError(f"max_rows {max_rows} is outside 1 to {ROWS_MAX}")
    rules = grouping_rules(spec, max_query_len, capability, overhead_bytes)
    slot_tokens = rules.slots * max_query_len

    def zeros(*shape: int) -> torch.Tensor:
        return torch.zeros(shape, dtype=torch.int32, device=device)

    def results(*shape: int) -> torch.Tensor:
        return torch.empty(shape, dtype=torch.float32, device=device)

    places = max_rows * max_query_len
    starts = torch.arange(max_rows + 1, dtype=torch.int32, device=device) * slot_tokens
    return SharedPrefixWorkspace(
        rules=rules,
        max_rows=max_rows,
        suffix=allocate_workspace(spec, max_rows, max_query_len, device=device, workers=workers),
        prefix=allocate_workspace(spec, max_rows, slot_tokens, device=device, workers=workers),
        grouping=zeros(4, max_rows),
        prefix_lens=zeros(max_rows),
        gathered_start_loc=starts,
        gathered=Prefix(
            gather_token=zeros(max_rows * slot_tokens),
            gather_pos=zeros(max_rows * slot_tokens),
            gather_place=zeros(max_rows * slot_tokens),
            table_rows=zeros(max_rows),
        ),
        skipped=Suffix(
            skip_lens=zeros(max_rows),
            prefix_out=results(places, spec.num_q_heads, spec.head_dim),
            prefix_lse=results(places, spec.num_q_heads),
        ),
    )
