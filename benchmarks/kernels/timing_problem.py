"""The tensors of one problem, and whether a result for it is right."""

from dataclasses import dataclass, replace

import torch

from benchmarks.kernels.timing_shapes import Shape
from kernels.spec import AttentionSpec
from kernels.testing import assert_within_budget, reference_paged_attention

#: Query tokens of a row that are compared with the reference; all of a small one.
SAMPLES = 6
#: Rows that are compared; the longest are among them.
SAMPLE_ROWS = 6


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """Random tensors, laid out as the kernels document them.

    Attributes:
        shape: what it is an instance of.
        spec: the layer.
        q: `[tokens, Hq, D]`.
        kv_cache: `[num_blocks, Hkv, block, 2 * D]`, heads outside the page's tokens.
        block_table: int32 `[rows, max_blocks]`, pages in random order.
        seq_lens: int32 `[rows]`.
        query_start_loc: int32 `[rows + 1]`.
    """

    shape: Shape
    spec: AttentionSpec
    q: torch.Tensor
    kv_cache: torch.Tensor
    block_table: torch.Tensor
    seq_lens: torch.Tensor
    query_start_loc: torch.Tensor

    def out(self) -> torch.Tensor:
        """Room for a result, poisoned."""
        return torch.full_like(self.q, torch.nan)

    def fault(self, out: torch.Tensor) -> str:
        """What is wrong with a result, or nothing.

        Some tokens of some rows are computed again in float64, and in the layer's own precision
        for the yardstick; every element must be finite.
        """
        if not torch.isfinite(out).all():
            return "not every element is finite"
        tokens, rows, lengths = self._samples()
        device = self.q.device
        sampled = (
            self.q[tokens],
            self.kv_cache,
            self.block_table[rows],
            torch.tensor(lengths, dtype=torch.int32, device=device),
            torch.arange(len(tokens) + 1, dtype=torch.int32, device=device),
            self.spec,
        )
        truth, _ = reference_paged_attention(*sampled)
        plain, _ = reference_paged_attention(*sampled, compute=self.spec.dtype)
        try:
            assert_within_budget(out[tokens], truth, plain)
        except AssertionError as error:
            return str(error)
        return ""

    def _samples(self) -> tuple[list[int], list[int], list[int]]:
        """Tokens, the row of each, and how many cached tokens it sees: itself and all before."""
        queries, lengths = self.shape.query_lens, self.shape.seq_lens
        order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
        chosen = {*order[: SAMPLE_ROWS // 2], *order[:: max(1, len(order) // SAMPLE_ROWS)]}
        starts = self.query_start_loc.tolist()
        found = []
        for row in sorted(chosen)[: 2 * SAMPLE_ROWS]:
            query = queries[row]
            places = {round(i * (query - 1) / (SAMPLES - 1)) for i in range(SAMPLES)}
            found += [
                (starts[row] + at, row, lengths[row] - query + at + 1) for at in sorted(places)
            ]
        tokens, rows, seen = zip(*found, strict=True)
        return list(tokens), list(rows), list(seen)


def make_problem(shape: Shape, spec: AttentionSpec, device: str, seed: int = 0) -> Problem:
    """Random data: zeros would run faster than any model does."""
    rng = torch.Generator(device).manual_seed(seed)
    spec = replace(spec, kv_dtype=shape.kv_dtype, sliding_window=shape.window)
    block = spec.block_size
    counts = [-(-length // block) for length in shape.seq_lens]
    shared = shape.shared // block
    num_blocks = shared + sum(count - shared for count in counts)
    pages = torch.randperm(num_blocks, generator=rng, device=device).to(torch.int32)
    table = torch.zeros(len(counts), max(counts), dtype=torch.int32, device=device)
    at = shared
    for row, count in enumerate(counts):
        table[row, :shared] = pages[:shared]
        table[row, shared:count] = pages[at : at + count - shared]
        at += count - shared
    cache = torch.randn(
        (num_blocks, spec.num_kv_heads, block, 2 * spec.head_dim),
        generator=rng,
        device=device,
        dtype=spec.dtype if device != "cpu" else torch.float32,
    ).to(torch.float8_e4m3fn if shape.kv_dtype != "same" else spec.dtype)
    q = torch.randn(
        (sum(shape.query_lens), spec.num_q_heads, spec.head_dim), generator=rng, device=device
    )
    starts = torch.tensor([0, *shape.query_lens]).cumsum(0)
    return Problem(
        shape,
        spec,
        q.to(spec.dtype),
        cache,
        table,
        torch.tensor(shape.seq_lens, dtype=torch.int32, device=device),
        starts.to(torch.int32).to(device),
    )
