"""Who reads which part of the KV cache: the planner as a pure function.

Lay the KV tiles of all rows and heads end to end, head by head within a row, row by row, and cut
the line into equal shares, one for each program of a fixed, persistent grid. A share may begin and
end inside a sequence; what it covers of one (row, head) is a *piece*. Balance is by construction:
no program reads more than ceil(tiles / programs) tiles, or a fixed minimum if that is more. All a
program needs is the running count of tiles and the row its share begins in, so the plan is two
small arrays, computed on the device once a step for all layers, with sizes fixed in advance.

Batch-invariant mode cuts elsewhere: every sequence into chunks whose length depends on that
sequence alone, each chunk one piece, taken whole by the program whose share its first tile is in.
The bound grows by one chunk less a tile.

The alternative, a list of work items sorted by size, balances no better, needs a variable number of
items, and a sort on the device.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kernels.paged_decode.config import CHUNKS_MAX, DecodeConfig


@dataclass(frozen=True, slots=True)
class Span:
    """The KV tiles one row needs: `first` to `last` - 1, in tiles from the sequence's start."""

    first: int
    last: int

    @property
    def tiles(self) -> int:
        """How many."""
        return self.last - self.first


@dataclass(frozen=True, slots=True)
class Plan:
    """What the device planner writes.

    Attributes:
        row_tiles: `[rows + 1]`, tiles of one head of all rows before this one.
        worker_row: `[workers]`, the row in which a worker's share begins.
        share: tiles of each worker's share.
    """

    row_tiles: tuple[int, ...]
    worker_row: tuple[int, ...]
    share: int


@dataclass(frozen=True, slots=True)
class Piece:
    """What one worker reads of one (row, head) without interruption.

    Attributes:
        worker: who reads it.
        row: index of the row in the batch.
        head: KV head times `m_tiles` plus the tile of packed query rows.
        first: first KV tile, counted from the row's span.
        last: one past the last.
        index: which piece of its (row, head) this is, in token order.
        count: pieces of this (row, head); 1 is written straight to the output.
        slot: where its partial result lies; distinct for all pieces that need one.
    """

    worker: int
    row: int
    head: int
    first: int
    last: int
    index: int
    count: int
    slot: int


def row_span(
    seq_len: int, query_len: int, block_n: int, sliding_window: int, skip_len: int = 0
) -> Span:
    """The tiles that any query token of a row sees; empty for a row without query or cache.

    The first `skip_len` tokens, whole tiles, are somebody else's.
    """
    if seq_len == 0 or query_len == 0:
        return Span(0, 0)
    first_seen = max(0, seq_len - query_len - sliding_window + 1) if sliding_window else skip_len
    return Span(first_seen // block_n, -(-seq_len // block_n))


def chunk_tiles(tiles: int, config: DecodeConfig) -> int:
    """Batch-invariant mode: tiles of each chunk of a sequence that needs `tiles`."""
    return max(config.chunk_tiles_min, -(-tiles // CHUNKS_MAX))


def plan(spans: Sequence[Span], heads: int, workers: int, config: DecodeConfig) -> Plan:
    """Cut all tiles into shares.

    Args:
        spans: of each row.
        heads: KV heads times `config.m_tiles`.
        workers: programs of the persistent grid.
        config: gives the smallest share.
    """
    row_tiles = [0]
    for span in spans:
        row_tiles.append(row_tiles[-1] + span.tiles)
    share = max(config.share_tiles_min, -(-row_tiles[-1] * heads // workers))
    worker_row = [
        sum(end * heads <= worker * share for end in row_tiles[1:]) for worker in range(workers)
    ]
    return Plan(tuple(row_tiles), tuple(worker_row), share)


def pieces(plan: Plan, heads: int, config: DecodeConfig) -> Iterator[Piece]:
    """Walk the plan as the kernel does, worker by worker."""
    total = plan.row_tiles[-1] * heads
    for worker, row in enumerate(plan.worker_row):
        at = worker * plan.share
        end = min(at + plan.share, total)
        while at < end:
            while plan.row_tiles[row + 1] * heads <= at:
                row += 1  # noqa: PLW2901 - the kernel's walk
            tiles = plan.row_tiles[row + 1] - plan.row_tiles[row]
            head = (at - plan.row_tiles[row] * heads) // tiles
            head_start = plan.row_tiles[row] * heads + head * tiles
            if config.batch_invariant:
                size = chunk_tiles(tiles, config)
                # The chunk that holds `at` belongs to the worker in whose share it begins.
                index = -(-(at - head_start) // size)
                first, last = min(index * size, tiles), min((index + 1) * size, tiles)
                count = -(-tiles // size)
                slot = (row * heads + head) * CHUNKS_MAX + index
            else:
                first, last = at - head_start, min(end - head_start, tiles)
                owner = head_start // plan.share
                index, slot = worker - owner, 2 * worker + (worker == owner)
                count = (head_start + tiles - 1) // plan.share - owner + 1
            if first < last and head_start + first < end:
                yield Piece(worker, row, head, first, last, index, count, slot)
            at = head_start + last
