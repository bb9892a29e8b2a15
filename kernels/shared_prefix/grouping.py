"""Which rows share a prefix worth reading once: the grouping as a pure function.

A prefix cache gives rows with equal beginnings the same leading pages, so the page at a given depth
tells whom a row shares that depth with. Each row picks, among five depths from 256 tokens to 64k,
the one that saves most; rows that picked the same depth and have the same page there are
candidates. The smallest row number leads. How much each candidate really has in common with the
leader is then compared page by page, so that a coincidence at one depth is never believed, and a
group's prefix is what all its members have in common.

One level of sharing is used: a row is in one group or none. Several levels (a system prompt shared
by all above documents shared by some) would save the shallow level once more and cost a pass more.

The gate is part of it: at least 256 tokens, at least 8 rows, and all groups together must save more
than the pass costs.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

#: Depths at which rows look for company, tokens; each four times the one before.
DEPTHS = (256, 1024, 4096, 16384, 65536)
#: Rows of a group at least; fewer would leave a tile of the prefix pass mostly empty.
GROUP_ROWS_MIN = 8


@dataclass(frozen=True, slots=True)
class GroupingRules:
    """What grouping needs to know about a layer.

    Attributes:
        block_size: tokens of a page.
        granule: prefix lengths are multiples of this, tokens: whole pages and whole KV tiles.
        slots: rows of a group that one gathered row of the prefix pass holds.
        partial_tokens: cost of writing and reading one row's prefix result, in KV tokens.
        overhead_tokens: cost of the prefix pass itself, in KV tokens.
    """

    block_size: int
    granule: int
    slots: int
    partial_tokens: int
    overhead_tokens: int


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that share a prefix.

    Attributes:
        rows: in increasing order; the first leads, and its pages are read.
        prefix: tokens that all rows have in common and attend to in full.
    """

    rows: tuple[int, ...]
    prefix: int


def group_rows(
    block_table: Sequence[Sequence[int]],
    seq_lens: Sequence[int],
    query_lens: Sequence[int],
    rules: GroupingRules,
) -> list[Group]:
    """Group a step's rows, by leader; empty when sharing would not pay.

    Args:
        block_table: page ids of each row.
        seq_lens: cached tokens of each row, the query's included.
        query_lens: query tokens of each row; all of them must see the whole prefix.
        rules: of the layer.
    """
    contexts = [
        length - query if query else 0 for length, query in zip(seq_lens, query_lens, strict=True)
    ]
    depths = _choose_depths(block_table, contexts, rules)
    candidates = defaultdict(list)
    for row, depth in enumerate(depths):
        if depth:
            candidates[depth, block_table[row][depth // rules.block_size - 1]].append(row)
    groups = []
    for (depth, _), rows in candidates.items():
        common = {row: _common(block_table, contexts, rows[0], row, rules) for row in rows}
        members = tuple(row for row in rows if common[row] >= depth)
        prefix = min(common[row] for row in members)
        if len(members) >= GROUP_ROWS_MIN and saved_tokens(len(members), prefix, rules) > 0:
            groups.append(Group(members, prefix))
    if sum(saved_tokens(len(g.rows), g.prefix, rules) for g in groups) < rules.overhead_tokens:
        return []
    return sorted(groups, key=lambda group: group.rows[0])


def saved_tokens(rows: int, prefix: int, rules: GroupingRules) -> int:
    """KV tokens of one head that a group need not read, less the cost of its results."""
    reads = -(-rows // rules.slots)
    return (rows - reads) * prefix - rows * rules.partial_tokens


def _choose_depths(
    block_table: Sequence[Sequence[int]], contexts: Sequence[int], rules: GroupingRules
) -> list[int]:
    """The depth at which each row saves most, the shallower of two equals; 0 for none."""
    best = [(0, 0)] * len(contexts)
    for depth in DEPTHS:
        index = depth // rules.block_size - 1
        deep = [row for row, context in enumerate(contexts) if context >= depth]
        company = Counter(block_table[row][index] for row in deep)
        for row in deep:
            count = company[block_table[row][index]]
            saved = saved_tokens(count, depth, rules)
            if count >= GROUP_ROWS_MIN and saved > best[row][0]:
                best[row] = (saved, depth)
    return [depth for _, depth in best]


def _common(
    block_table: Sequence[Sequence[int]],
    contexts: Sequence[int],
    leader: int,
    row: int,
    rules: GroupingRules,
) -> int:
    """Tokens that two rows' equal leading pages hold, whole granules of both contexts."""
    limit = min(contexts[leader], contexts[row]) // rules.block_size
    pages = 0
    while pages < limit and block_table[leader][pages] == block_table[row][pages]:
        pages += 1
    return pages * rules.block_size // rules.granule * rules.granule
