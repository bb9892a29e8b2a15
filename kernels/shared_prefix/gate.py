"""What sharing costs and when it cannot pay, from the layer's numbers alone.

The costs are in KV tokens of one head, the unit in which a plan counts work, because decode is
bound by the bytes it reads.
"""

from kernels.paged_decode.config import OUTPUT_ELEMENTS_MAX, choose_config
from kernels.shared_prefix.grouping import DEPTHS, GROUP_ROWS_MIN, GroupingRules
from kernels.spec import AttentionSpec, UnsupportedAttentionError

#: Packed rows of a tile of the prefix pass; more would spill in the decode kernel.
PREFIX_BLOCK_M = 64
#: What the prefix pass costs before it reads a byte, in bytes that could have been read meanwhile:
#: 5 us of launch, ramp and drain at 4 TB/s. An estimate; no GPU has measured it.
OVERHEAD_BYTES = 20 * 1000 * 1000


def prefix_slots(spec: AttentionSpec, max_query_len: int) -> int:
    """Rows of a group whose query tokens fit one tile of the prefix pass.

    Raises:
        UnsupportedAttentionError: fewer than two fit, so that nothing could be shared.
    """
    packed = min(PREFIX_BLOCK_M, OUTPUT_ELEMENTS_MAX // spec.padded_head_dim)
    slots = packed // (max_query_len * spec.group_size)
    if slots < 2:
        raise UnsupportedAttentionError(
            f"max_query_len {max_query_len} times {spec.group_size} query heads per KV head leaves "
            f"no room for two rows in a tile of {packed}: use paged_decode"
        )
    return slots


def grouping_rules(
    spec: AttentionSpec, max_query_len: int, capability: int, overhead_bytes: int
) -> GroupingRules:
    """The rules for one layer, on a device where a pass costs as much as reading `overhead_bytes`.

    Raises:
        UnsupportedAttentionError: the layer has a sliding window, which ends before a shared prefix
            is worth reading once, or no two rows fit a tile.
    """
    if spec.sliding_window:
        raise UnsupportedAttentionError(
            f"sliding_window {spec.sliding_window} leaves no shared prefix to read: "
            "use paged_decode"
        )
    config = choose_config(spec, max_query_len, capability)
    result_bytes = 2 * 4 * spec.head_dim * spec.group_size * max_query_len  # fp32, out and in
    return GroupingRules(
        block_size=spec.block_size,
        granule=max(config.block_n, spec.block_size),
        slots=prefix_slots(spec, max_query_len),
        partial_tokens=-(-result_bytes // spec.kv_token_bytes),
        overhead_tokens=overhead_bytes // (spec.kv_token_bytes * spec.num_kv_heads),
    )


def could_share(rows: int, max_seq_len: int) -> bool:
    """Whether any contents of a step of this size could open the gate.

    Args:
        rows: of the step.
        max_seq_len: of the longest row, or an upper bound; tokens.
    """
    return rows >= GROUP_ROWS_MIN and max_seq_len > DEPTHS[0]
