"""Which compiled form of the decode kernel serves a layer, as a pure function.

Decode is bound by bytes, so the choice is about keeping bytes in flight: tiles of K and V of 16 to
32 KB, two of them buffered, two programs on a multiprocessor. The constants say why they are what
they are; that they are the fastest is unmeasured.
"""

from dataclasses import dataclass

from kernels.spec import INTERPRETER, AttentionSpec, UnsupportedAttentionError

#: Query tokens of one row; longer rows belong to paged_prefill.
QUERY_LEN_MAX = 128
#: Rows of one step, so that a plan's arithmetic stays within int32.
ROWS_MAX = 4096
#: K and V elements of a tile. In 16-bit elements it is 32 KB, so that two programs, each with one
#: tile in use and one on its way, keep 64 KB of an SM in flight; twice as many e4m3 would spill.
TILE_ELEMENTS = 16 * 1024
#: Bytes on their way to an SM that cover the memory's latency: 3 MB over the 132 of an H200.
BYTES_AHEAD_MIN = 23 * 1024
#: Tokens of a tile at most where more would spill: e4m3, decoded in registers, or 64 packed rows...
CROWDED_TILE_TOKENS_MAX = 64
#: ...and e4m3 of a padded head dimension of 128 or more with a window, a cap, or ALiBi.
CROWDED_SCORES_TILE_TOKENS_MAX = 32
#: Registers of a thread at most. Two programs of 4 warps, or one of 8, leave each thread as many as
#: the instruction set can name; by itself ptxas aims lower and spills.
REGISTERS_MAX = 255
#: Elements of the output tile at most: M 64 spills at a padded head dimension of 256.
OUTPUT_ELEMENTS_MAX = 64 * 128
#: A program that reads less than this costs more in partial results than it saves in time.
SHARE_TOKENS_MIN = 128
#: Batch-invariant mode: chunks of one sequence at most (each costs a partial result in memory)...
CHUNKS_MAX = 16
#: ...and tokens of a chunk at least.
CHUNK_TOKENS_MIN = 256
#: Shared memory of one multiprocessor that programs can use, in KB, by capability.
SHARED_KB = {80: 164, 86: 100, 87: 164, 89: 100, 90: 228, 100: 228, 103: 228, 120: 100}


@dataclass(frozen=True, slots=True)
class DecodeConfig:
    """Compile-time constants and launch options of one decode kernel.

    Attributes:
        block_m: packed rows (query token, head of the group) of a tile; 16, 32 or 64.
        block_n: KV tokens of a tile.
        m_tiles: tiles of `block_m` that the longest row's group needs.
        num_stages: depth of the software pipeline; `num_stages` - 1 tiles of K and V are buffered.
        num_warps: warps of a program.
        ctas_per_sm: programs on one multiprocessor; the persistent grid is this times the SMs.
        share_tiles_min: tiles of a program's share at least.
        chunk_tiles_min: batch-invariant mode: tiles of a chunk at least; 0 when balanced.
        merge_unroll: partial results loaded at once when merging.
    """

    block_m: int
    block_n: int
    m_tiles: int
    num_stages: int
    num_warps: int
    ctas_per_sm: int
    share_tiles_min: int
    chunk_tiles_min: int
    merge_unroll: int

    @property
    def launch_options(self) -> dict[str, int | bool]:
        """What a launch passes beside arguments and constants."""
        return {
            "num_warps": self.num_warps,
            "maxnreg": REGISTERS_MAX,
            "enable_fp_fusion": True,  # said outright, since its default differs among versions
        }

    @property
    def batch_invariant(self) -> bool:
        """Whether split points depend on the sequence alone."""
        return self.chunk_tiles_min > 0


def choose_config(
    spec: AttentionSpec, max_query_len: int, capability: int, *, batch_invariant: bool = False
) -> DecodeConfig:
    """Choose the compiled form; nothing of a batch's contents enters, so graphs can be captured.

    Args:
        spec: a spec that `check` accepts.
        max_query_len: the longest row's query tokens, ever; 1 without speculative decoding.
        capability: of the GPU, or `INTERPRETER`.
        batch_invariant: make split points depend on the sequence alone.

    Raises:
        UnsupportedAttentionError: `max_query_len` is out of bounds.
    """
    if not 1 <= max_query_len <= QUERY_LEN_MAX:
        raise UnsupportedAttentionError(
            f"max_query_len {max_query_len} is outside 1 to {QUERY_LEN_MAX}: use paged_prefill"
        )
    packed = max_query_len * spec.group_size
    block_m = next((m for m in (16, 32) if packed <= m), 64)
    block_m = min(block_m, OUTPUT_ELEMENTS_MAX // spec.padded_head_dim)
    block_n = _tile_tokens(spec, block_m)
    tile_bytes = block_n * 2 * spec.padded_head_dim * spec.cache_dtype.itemsize
    num_warps = 8 if block_m == 64 else 4
    num_stages, ctas_per_sm = _pipeline(
        tile_bytes, block_m * spec.padded_head_dim * 2 + 4 * 1024, num_warps, capability
    )
    return DecodeConfig(
        block_m=block_m,
        block_n=block_n,
        m_tiles=-(-packed // block_m),
        num_stages=num_stages,
        num_warps=num_warps,
        ctas_per_sm=ctas_per_sm,
        share_tiles_min=max(1, SHARE_TOKENS_MIN // block_n),
        chunk_tiles_min=max(1, CHUNK_TOKENS_MIN // block_n) if batch_invariant else 0,
        # As many as fit 64 fp32 registers of a thread beside the accumulator itself.
        merge_unroll=max(1, 8 * 1024 // (block_m * spec.padded_head_dim)),
    )


def _tile_tokens(spec: AttentionSpec, block_m: int) -> int:
    """KV tokens of a tile: the most that neither shared memory nor registers run out of."""
    tokens = TILE_ELEMENTS // (2 * spec.padded_head_dim)
    fp8 = spec.kv_dtype == "fp8_e4m3"
    if fp8 or block_m == 64:
        tokens = min(tokens, CROWDED_TILE_TOKENS_MAX)
    if fp8 and spec.padded_head_dim >= 128 and (spec.sliding_window or spec.soft_cap or spec.alibi):
        tokens = min(tokens, CROWDED_SCORES_TILE_TOKENS_MAX)
    return tokens


def _pipeline(
    tile_bytes: int, scratch_bytes: int, num_warps: int, capability: int
) -> tuple[int, int]:
    """Stages and programs per multiprocessor, the most that shared memory and registers hold.

    Two programs hide each other's barriers and the gaps between pieces; a third buys nothing that
    a buffered tile does not. A program of 8 warps takes more than half the registers. Of a
    pipeline's stages one tile is in use and the last is a place to come, the rest is on its way:
    small tiles take more stages, until `BYTES_AHEAD_MIN` are. Beside its tiles a program needs
    `scratch_bytes`: the 16-bit query tile and what reductions pass on.
    """
    if capability == INTERPRETER:
        return 2, 1
    shared_bytes = SHARED_KB.get(capability, min(SHARED_KB.values())) * 1024
    for num_stages, ctas_per_sm in ((3, 2), (4, 2), (4, 1), (5, 1), (3, 1)):
        fits = ctas_per_sm * ((num_stages - 1) * tile_bytes + scratch_bytes) <= shared_bytes
        ahead = ctas_per_sm * (num_stages - 2) * tile_bytes
        if fits and ahead >= BYTES_AHEAD_MIN and ctas_per_sm * num_warps <= 8:
            return num_stages, ctas_per_sm
    return 2, 1
