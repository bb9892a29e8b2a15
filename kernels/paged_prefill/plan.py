"""Which program attends what: query tiles cut and ordered so that no tile holds up the step.

Intuition: a step is as slow as its unluckiest multiprocessor. Work is handed out in order, so the
longest items must start first, and no item may be longer than a fair share of the whole.

Algorithm: every row's query is split into tiles of `block_q` tokens; a tile's cost is its KV tiles.
Tiles are sorted, longest first. A tile that costs more than `total / cut_budget` is cut along its
keys into equal pieces no longer than that; the pieces keep a softmax each and are merged after.
The sum of ceil(cost / chunk) over all tiles is at most tiles + total / chunk, so `cut_budget` also
bounds how many items cutting can add, and twice it bounds the pieces that need workspace.

Rejected: a fixed number of splits for every tile (each uncut tile would pay for a merge), and
cutting on the host (it needs the lengths, which are on the device; reading them stalls the step).

`plan_kernel.plan_kernel` computes the same on the device, one launch a step for all layers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

ITEM_FIELDS = ("row", "first_token", "tokens", "first_pos", "lo", "hi", "slot", "unused")
CUT_FIELDS = ("first_token", "tokens", "first_slot", "pieces")

#: Tiles of one plan: they are sorted in one program, with the index in the low bits of the key.
TILE_BITS = 13
TILES_MAX = 1 << TILE_BITS
#: KV tiles of one query tile, the high bits of the key: 4 to 8 million tokens of context.
COST_MAX = 1 << (31 - TILE_BITS - 1)


@dataclass(frozen=True, slots=True)
class PlanRules:
    """What a plan depends on besides the lengths.

    Attributes:
        block_q: query tokens of one tile.
        block_n: keys of one KV tile.
        window: sliding window in tokens, 0 for none.
        cut_budget: items that cutting may add; 0 never cuts.
        chunk_min: KV tiles below which no tile is cut, since a merge would cost more than it saves.
        min_query_len: rows with a shorter query are left to another kernel.
    """

    block_q: int
    block_n: int
    window: int = 0
    cut_budget: int = 0
    chunk_min: int = 1
    min_query_len: int = 1


@dataclass(frozen=True, slots=True)
class Item:
    """One program's work: `tokens` queries from `first_token` on, keys `[lo, hi)` of `row`.

    `first_pos` is the first query's position in the row. `slot` is -1 for a tile attended whole,
    else the piece's place in the workspace.
    """

    row: int
    first_token: int
    tokens: int
    first_pos: int
    lo: int
    hi: int
    slot: int


@dataclass(frozen=True, slots=True)
class Cut:
    """A tile in `pieces` pieces, whose slots are consecutive from `first_slot`."""

    first_token: int
    tokens: int
    first_slot: int
    pieces: int


def tiles_max(tokens: int, rows: int, block_q: int) -> int:
    """Most query tiles that `tokens` query tokens in `rows` rows can have."""
    return tokens // block_q + rows


def make_plan(
    query_starts: Sequence[int], seq_lens: Sequence[int], rules: PlanRules
) -> tuple[list[Item], list[Cut]]:
    """The plan as plain values: what the kernel must compute, in the same order.

    Args:
        query_starts: first token of each row, and one past the last.
        seq_lens: tokens of each row in the cache, the query's included.
        rules: see `PlanRules`.
    """
    tiles = [
        tile
        for row in range(len(seq_lens))
        for tile in _row_tiles(row, query_starts[row], query_starts[row + 1], seq_lens[row], rules)
    ]
    tiles.sort(key=lambda tile: -_cost(tile, rules))  # stable: equal costs keep row order
    chunk = _chunk(sum(_cost(tile, rules) for tile in tiles), rules)
    items: list[Item] = []
    cuts: list[Cut] = []
    slots = 0
    for tile in tiles:
        cost = _cost(tile, rules)
        if not chunk or cost <= chunk:
            items.append(tile)
            continue
        per_piece = -(-cost // -(-cost // chunk))
        pieces = -(-cost // per_piece)
        cuts.append(Cut(tile.first_token, tile.tokens, slots, pieces))
        span = per_piece * rules.block_n
        for piece in range(pieces):
            lo = tile.lo + piece * span
            hi = min(tile.hi, lo + span)
            items.append(
                Item(tile.row, tile.first_token, tile.tokens, tile.first_pos, lo, hi, slots + piece)
            )
        slots += pieces
    return items, cuts


def _row_tiles(row: int, start: int, end: int, seq_len: int, rules: PlanRules) -> list[Item]:
    if end - start < rules.min_query_len:
        return []
    tiles = []
    for first_token in range(start, end, rules.block_q):
        tokens = min(rules.block_q, end - first_token)
        first_pos = seq_len - (end - first_token)
        lo = max(0, first_pos - rules.window + 1) if rules.window else 0
        lo -= lo % rules.block_n
        tiles.append(Item(row, first_token, tokens, first_pos, lo, first_pos + tokens, -1))
    return tiles


def _cost(tile: Item, rules: PlanRules) -> int:
    """KV tiles the tile visits; its `lo` lies on a tile's edge."""
    return -(-(tile.hi - tile.lo) // rules.block_n)


def _chunk(total: int, rules: PlanRules) -> int:
    """Longest uncut item in KV tiles; 0 where nothing is cut."""
    if not rules.cut_budget:
        return 0
    return max(rules.chunk_min, -(-total // rules.cut_budget))
