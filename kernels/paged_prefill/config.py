"""Which compiled form of the prefill kernel serves a step, as a pure function.

Prefill is bound by the tensor cores, so query tiles are as tall as registers allow: 128 rows (64
where the head dimension is 256 on sm_80), never the 16 of a decode kernel, whose matrix products
cannot become wgmma.
"""

from dataclasses import dataclass
from math import gcd

import torch

from kernels.paged_prefill.plan import COST_MAX, TILES_MAX, PlanRules, tiles_max
from kernels.spec import INTERPRETER, AttentionSpec, UnsupportedAttentionError

#: Heads of one KV head that share a tile at most: more would leave under 8 tokens in 128 rows.
PACKED_MAX = 16
#: Items a cut may add for each multiprocessor: two pieces each still start and end close together.
CUTS_PER_SM = 2
#: Keys of the shortest piece: below it, merging costs more than the piece.
PIECE_KEYS_MIN = 1024
#: Architectures whose Triton backend specialises warps as `specialised.py` describes.
SPECIALISED_CAPABILITIES = range(90, 100)
SPECIALISED_HEAD_DIMS = (64, 128)
SPECIALISED_BLOCK_M = 128


@dataclass(frozen=True, slots=True)
class PrefillShape:
    """What the host knows of a step without asking the device.

    Attributes:
        tokens: query tokens, padding included.
        rows: rows, padding included.
        max_query_len: the longest row's query tokens, or an upper bound.
        max_seq_len: the longest row's tokens in the cache, or an upper bound.
    """

    tokens: int
    rows: int
    max_query_len: int
    max_seq_len: int


@dataclass(frozen=True, slots=True)
class PrefillConfig:
    """Compile-time constants and launch options of one prefill kernel.

    Attributes:
        specialised: the Hopper path of `specialised.py` instead of the plain one.
        block_m: rows of a query tile: tokens times packed heads.
        block_n: keys of a KV tile.
        packed: query heads of one KV head in a tile.
        num_warps: warps, before the compiler adds the specialised ones.
        num_stages: KV tiles in flight or in use.
        cut_budget: items that cutting long tiles may add; 0 never cuts.
        sm_count: multiprocessors; the specialised path starts one program on each.
        piece_keys_min: keys of the shortest piece of a cut tile.
    """

    specialised: bool
    block_m: int
    block_n: int
    packed: int
    num_warps: int
    num_stages: int
    cut_budget: int
    sm_count: int
    piece_keys_min: int = PIECE_KEYS_MIN

    @property
    def block_q(self) -> int:
        """Query tokens of one tile."""
        return self.block_m // self.packed

    def rules(self, spec: AttentionSpec, min_query_len: int) -> PlanRules:
        """What the plan for this configuration depends on."""
        return PlanRules(
            block_q=self.block_q,
            block_n=self.block_n,
            window=spec.sliding_window,
            cut_budget=self.cut_budget,
            chunk_min=max(1, self.piece_keys_min // self.block_n),
            min_query_len=min_query_len,
        )


def choose_config(
    spec: AttentionSpec,
    shape: PrefillShape,
    capability: int,
    *,
    sm_count: int,
    finite_cache: bool = False,
    batch_invariant: bool = False,
) -> PrefillConfig:
    """Choose the compiled form for a step.

    Args:
        spec: a spec that `spec.check` accepts.
        shape: the step, as the host knows it.
        capability: of the GPU, or `INTERPRETER`.
        sm_count: multiprocessors of the GPU.
        finite_cache: the caller promises that every slot of a page in use holds finite numbers,
            the slots past a row's end too; the specialised path needs it.
        batch_invariant: choose by the spec alone and never cut, so that a token's bits do not
            depend on which rows share the step.

    Raises:
        UnsupportedAttentionError: the step exceeds what one plan can hold.
    """
    specialised = (
        finite_cache
        and capability in SPECIALISED_CAPABILITIES
        and _specialisable(spec)
        # A query shorter than a tile wastes rows unless heads are packed.
        and (batch_invariant or shape.max_query_len >= SPECIALISED_BLOCK_M)
    )
    packed = 1 if specialised else gcd(spec.group_size, PACKED_MAX)
    block_q = (SPECIALISED_BLOCK_M if specialised else _plain_tile(spec, capability)[0]) // packed
    cut_budget = -(-CUTS_PER_SM * sm_count * packed // spec.num_q_heads)
    if batch_invariant or not _may_cut(shape, block_q, cut_budget, spec.sliding_window):
        cut_budget = 0
    tile = _specialised_tile(spec, cut_budget) if specialised else _plain_tile(spec, capability)
    block_m, block_n, num_warps, num_stages = tile
    config = PrefillConfig(
        specialised, block_m, block_n, packed, num_warps, num_stages, cut_budget, sm_count
    )
    _check_bounds(shape, config)
    return config


def _specialisable(spec: AttentionSpec) -> bool:
    """Whether the specialised kernel computes this layer."""
    return (
        spec.head_dim in SPECIALISED_HEAD_DIMS
        and spec.kv_dtype == "same"
        and spec.dtype != torch.float32
        and spec.block_size >= 64
    )


def _may_cut(shape: PrefillShape, block_q: int, budget: int, window: int) -> bool:
    """Whether some tile might be cut, from bounds alone.

    A tile is cut when it costs more than total / budget. The longest costs at most max_seq_len
    keys (or a window's), and causal tiles of t tokens in r rows cost at least t^2 / (2 r block_q)
    keys in all, as Cauchy's inequality bounds the sum of the rows' squares.
    """
    longest = shape.max_seq_len if not window else min(shape.max_seq_len, window + block_q)
    if longest <= PIECE_KEYS_MIN:
        return False
    total = 0 if window else shape.tokens**2 // (2 * max(shape.rows, 1) * block_q)
    return longest * budget > total


def _plain_tile(spec: AttentionSpec, capability: int) -> tuple[int, int, int, int]:
    """(block_m, block_n, warps, stages) of the plain kernel: the tallest tile that spills nothing.

    Found by compiling, for every supported Triton; `python -m benchmarks.kernels aot` shows it.
    """
    if capability == INTERPRETER:
        return 32, 32, 4, 1  # small, so that tests meet many tiles
    ampere = capability < 90
    fp8 = spec.kv_dtype != "same"
    if spec.padded_head_dim == 256:
        # 128 rows of 256 fp32 sums leave Ampere's 255 registers nothing for the fragments.
        return (64, 32, 8, 3) if ampere else (128, 32, 8, 3 if fp8 else 2)
    if ampere and spec.padded_head_dim == 128:
        # Pointers of several pages, or another step between score and weight, take what registers
        # 64 keys would need.
        bare = not (fp8 or spec.sliding_window or spec.soft_cap or spec.alibi)
        return (128, 64, 8, 3) if bare and spec.block_size >= 64 else (128, 32, 8, 3)
    return 128, 64, 8, 3


def buffered_tiles(spec: AttentionSpec, config: PrefillConfig, capability: int) -> int:
    """KV tiles that shared memory holds at once: all stages where the tensor core reads them there.

    Fragments that pass through registers, as `mma.sync` and decoded e4m3 do, free a stage early.
    """
    direct = capability >= 90 and spec.kv_dtype == "same"
    return config.num_stages if direct else config.num_stages - 1


def _specialised_tile(spec: AttentionSpec, cut_budget: int) -> tuple[int, int, int, int]:
    """(block_m, block_n, warps, stages) within 227 KB: Q twice, K and V `stages` times each.

    With cuts the fp32 pieces pass through shared memory on their way out, 64 KB at head dim 128.
    """
    if spec.head_dim == 64:
        return SPECIALISED_BLOCK_M, min(128, spec.block_size), 4, 3
    if cut_budget:
        return SPECIALISED_BLOCK_M, 64, 4, 2
    block_n, num_stages = (128, 2) if spec.block_size >= 128 else (64, 3)
    return SPECIALISED_BLOCK_M, block_n, 4, num_stages


def _check_bounds(shape: PrefillShape, config: PrefillConfig) -> None:
    tiles = tiles_max(shape.tokens, shape.rows, config.block_q)
    if tiles > TILES_MAX:
        raise UnsupportedAttentionError(
            f"tokens {shape.tokens} in rows {shape.rows} may make {tiles} query tiles, "
            f"above the limit of {TILES_MAX}"
        )
    if shape.max_seq_len > COST_MAX * config.block_n:
        raise UnsupportedAttentionError(
            f"max_seq_len {shape.max_seq_len} is above the limit of {COST_MAX * config.block_n}"
        )
