"""Random paged-attention problems whose unused memory is poisoned.

Every cache slot that holds no token of any row is NaN, and so is every output before the launch: a
kernel that reads what it must not, or forgets a write, shows at once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from kernels.spec import AttentionSpec
from kernels.tensors import LayerTensors

LAYOUTS = ("LBHNC", "LBNHC")  # heads outside the page's tokens, or inside; logical axes are equal


@dataclass(frozen=True, slots=True)
class PagedCase:
    """One problem: tensors as `reference_paged_attention` documents them."""

    spec: AttentionSpec
    q: torch.Tensor
    kv_cache: torch.Tensor
    block_table: torch.Tensor
    seq_lens: torch.Tensor
    query_start_loc: torch.Tensor
    k_scale: float = 1.0
    v_scale: float = 1.0
    sinks: torch.Tensor | None = None
    alibi_slopes: torch.Tensor | None = None

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """What the reference takes by position."""
        return self.q, self.kv_cache, self.block_table, self.seq_lens, self.query_start_loc

    @property
    def extras(self) -> dict[str, Any]:
        """What it takes by name."""
        return {
            "k_scale": self.k_scale,
            "v_scale": self.v_scale,
            "sinks": self.sinks,
            "alibi_slopes": self.alibi_slopes,
        }

    def layer(self, out: torch.Tensor, lse: torch.Tensor | None = None) -> LayerTensors:
        """What a kernel takes, with results going to `out` and `lse`."""
        return LayerTensors(self.q, self.kv_cache, self.block_table, out, lse, **self.extras)

    @property
    def max_query_len(self) -> int:
        """The longest row's query tokens."""
        return int(self.query_start_loc.diff().max())


def make_case(
    spec: AttentionSpec,
    query_lens: Sequence[int],
    seq_lens: Sequence[int],
    *,
    seed: int = 0,
    layout: str = "LBHNC",
    shared_blocks: int = 0,
    k_scale: float = 1.0,
    v_scale: float = 1.0,
    device: str = "cpu",
) -> PagedCase:
    """Build a case; a row with both lengths 0 is graph padding.

    Args:
        spec: the layer.
        query_lens: query tokens of each row.
        seq_lens: cached tokens of each row, the query's included.
        seed: of everything random; print it on failure.
        layout: one of `LAYOUTS`, the order of axes in memory.
        shared_blocks: leading pages that all rows with that many full pages share.
        k_scale: of the cache's K; random values are divided by it.
        v_scale: of the cache's V.
        device: where the tensors are.
    """
    rng = torch.Generator().manual_seed(seed)
    block_table, num_blocks = _page_ids(seq_lens, spec.block_size, shared_blocks, rng)
    cache = _cache(spec, num_blocks, k_scale, v_scale, rng)
    poison = math.nan
    for slot in _unused_slots(block_table, seq_lens, num_blocks, spec.block_size):
        cache[slot[0], :, slot[1] :] = poison
    stored = cache.to(torch.float8_e4m3fn).view(torch.uint8) if spec.kv_dtype != "same" else cache
    stored = stored.to(spec.cache_dtype)
    if layout == "LBNHC":
        stored = stored.transpose(1, 2).contiguous().transpose(1, 2)
    starts = torch.tensor([0, *query_lens]).cumsum(0).to(torch.int32)
    q = torch.randn(sum(query_lens), spec.num_q_heads, spec.head_dim, generator=rng)
    heads = spec.num_q_heads
    sinks = torch.randn(heads, generator=rng) if spec.sinks else None
    slopes = 0.5 ** (1 + 7 * torch.rand(heads, generator=rng)) if spec.alibi else None
    return PagedCase(
        spec=spec,
        q=q.to(spec.dtype).to(device),
        kv_cache=stored.to(device),
        block_table=block_table.to(device),
        seq_lens=torch.tensor(list(seq_lens), dtype=torch.int32, device=device),
        query_start_loc=starts.to(device),
        k_scale=k_scale,
        v_scale=v_scale,
        sinks=None if sinks is None else sinks.to(device),
        alibi_slopes=None if slopes is None else slopes.to(device),
    )


def poisoned_like(q: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """An output `[tokens, Hq, D]` and a log-sum-exp `[tokens, Hq]` for `q`, all NaN."""
    lse = torch.full(q.shape[:2], math.nan, dtype=torch.float32, device=q.device)
    return torch.full_like(q, math.nan), lse


def _page_ids(
    seq_lens: Sequence[int], block_size: int, shared_blocks: int, rng: torch.Generator
) -> tuple[torch.Tensor, int]:
    """A shuffled block table, with one page more than any row needs, and the number of pages."""
    counts = [-(-length // block_size) for length in seq_lens]
    num_blocks = sum(counts) + shared_blocks + 1
    free = torch.randperm(num_blocks, generator=rng).tolist()
    leading = [free.pop() for _ in range(shared_blocks)]
    unmapped = free.pop()
    table = torch.full((len(counts), max(counts, default=0) + 1), unmapped, dtype=torch.int32)
    for row, (count, length) in enumerate(zip(counts, seq_lens, strict=True)):
        shares = length >= shared_blocks * block_size
        own = leading + [free.pop() for _ in range(count - shared_blocks)] if shares else []
        table[row, :count] = torch.tensor(own or [free.pop() for _ in range(count)])
    return table, num_blocks


def _cache(
    spec: AttentionSpec, num_blocks: int, k_scale: float, v_scale: float, rng: torch.Generator
) -> torch.Tensor:
    """Random fp32 contents, divided by the scales, rounded later to the cache's dtype."""
    shape = (num_blocks, spec.num_kv_heads, spec.block_size, 2 * spec.head_dim)
    cache = torch.randn(shape, generator=rng)
    cache[..., : spec.head_dim] /= k_scale
    cache[..., spec.head_dim :] /= v_scale
    return cache


def _unused_slots(
    block_table: torch.Tensor, seq_lens: Sequence[int], num_blocks: int, block_size: int
) -> list[tuple[int, int]]:
    """(page, first unused slot) of every page that is not full."""
    used = dict.fromkeys(range(num_blocks), 0)
    for row, length in enumerate(seq_lens):
        for index in range(-(-length // block_size)):
            page = int(block_table[row, index])
            used[page] = max(used[page], min(block_size, length - index * block_size))
    return [(page, first) for page, first in used.items() if first < block_size]
