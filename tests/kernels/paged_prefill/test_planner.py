"""The plan gives every query and key range to exactly one item, and no item more than its share."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.paged_prefill.config import PrefillShape, choose_config
from kernels.paged_prefill.constants import planner_constants
from kernels.paged_prefill.plan import (
    CUT_FIELDS,
    ITEM_FIELDS,
    Cut,
    Item,
    PlanRules,
    make_plan,
    tiles_max,
)
from kernels.paged_prefill.plan_kernel import plan_kernel
from kernels.spec import AttentionSpec, UnsupportedAttentionError

RULES = st.builds(
    PlanRules,
    block_q=st.sampled_from([4, 8, 32]),
    block_n=st.sampled_from([16, 32]),
    window=st.sampled_from([0, 1, 40, 64]),
    cut_budget=st.sampled_from([0, 1, 7, 20]),
    chunk_min=st.sampled_from([1, 3]),
    min_query_len=st.sampled_from([1, 5]),
)
#: (query tokens, tokens before them) of each row; rows without a query are padding.
ROWS = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 400)), min_size=1, max_size=9)


def lengths(rows):
    """Query starts and sequence lengths of rows."""
    starts = [0]
    for query, _ in rows:
        starts.append(starts[-1] + query)
    return starts, [query and query + before for query, before in rows]


@given(rows=ROWS, rules=RULES)
def test_every_visible_pair_is_attended_exactly_once(rows, rules):
    """Pieces of a tile follow each other, and reach from the window's first key to the last."""
    starts, seq_lens = lengths(rows)
    items, _ = make_plan(starts, seq_lens, rules)
    seen = {}
    for item in items:
        assert item.lo % rules.block_n == 0
        seen.setdefault((item.row, item.first_token, item.tokens), []).append((item.lo, item.hi))
    covered = [token for _, first, count in seen for token in range(first, first + count)]
    expected = [
        token
        for row in range(len(rows))
        if rows[row][0] >= rules.min_query_len
        for token in range(starts[row], starts[row + 1])
    ]
    assert sorted(covered) == expected
    for (row, first, count), ranges in seen.items():
        ranges.sort()
        last_pos = seq_lens[row] - starts[row + 1] + first + count - 1
        first_pos = last_pos - count + 1
        first_seen = max(0, first_pos - rules.window + 1) if rules.window else 0
        assert ranges[0][0] <= first_seen < ranges[0][0] + rules.block_n
        assert ranges[-1][1] == last_pos + 1
        assert all(a[1] == b[0] for a, b in pairwise(ranges))


@given(rows=ROWS, rules=RULES)
def test_items_stay_within_their_share_and_bounds(rows, rules):
    """No item costs more than total / budget; the room that the host reserves suffices."""
    starts, seq_lens = lengths(rows)
    items, cuts = make_plan(starts, seq_lens, rules)
    costs = [-(-(item.hi - item.lo) // rules.block_n) for item in items]
    tiles = tiles_max(starts[-1], len(rows), rules.block_q)
    assert len(items) <= tiles + rules.cut_budget
    assert len(cuts) <= rules.cut_budget
    pieces = [item.slot for item in items if item.slot >= 0]
    assert sorted(pieces) == list(range(sum(cut.pieces for cut in cuts)))
    assert len(pieces) <= 2 * rules.cut_budget
    if rules.cut_budget and items:
        assert max(costs) <= max(rules.chunk_min, -(-sum(costs) // rules.cut_budget))


def test_longest_first():
    """The item that takes longest starts first."""
    items, _ = make_plan([0, 64, 96], [64, 500], PlanRules(block_q=32, block_n=16))
    assert [(item.row, item.hi) for item in items] == [(1, 500), (0, 64), (0, 32)]


@settings(max_examples=20, deadline=None)
@given(rows=ROWS, rules=RULES)
def test_the_device_plans_the_same(rows, rules):
    """The kernel's tables equal the pure function's lists, order included."""
    starts, seq_lens = lengths(rows)
    items, cuts = make_plan(starts, seq_lens, rules)
    tiles = tiles_max(starts[-1], len(rows), rules.block_q)
    counts = torch.zeros(2, dtype=torch.int32)
    item_table = torch.full((tiles + rules.cut_budget, len(ITEM_FIELDS)), -9, dtype=torch.int32)
    cut_table = torch.full((max(1, rules.cut_budget), len(CUT_FIELDS)), -9, dtype=torch.int32)
    plan_kernel[(1,)](
        torch.tensor(starts, dtype=torch.int32),
        torch.tensor(seq_lens, dtype=torch.int32),
        counts,
        item_table,
        cut_table,
        len(rows),
        rules.min_query_len,
        rules.cut_budget,
        rules.chunk_min,
        **planner_constants(rules, tiles, len(rows)),
    )
    assert counts.tolist() == [len(items), len(cuts)]
    assert [Item(*row[:7]) for row in item_table[: len(items)].tolist()] == items
    assert [Cut(*row) for row in cut_table[: len(cuts)].tolist()] == cuts


def test_too_many_tiles_are_refused():
    """A step beyond one plan's table names its tokens and rows."""
    spec = AttentionSpec(32, 8, 128, 0.1, 16, torch.bfloat16)
    shape = PrefillShape(tokens=2**20, rows=8, max_query_len=2**17, max_seq_len=2**17)
    with pytest.raises(UnsupportedAttentionError, match="query tiles"):
        choose_config(spec, shape, 90, sm_count=132)
