"""Rows are grouped only by what they have in common, and only where it pays."""

from hypothesis import given
from hypothesis import strategies as st

from kernels.shared_prefix.grouping import (
    GROUP_ROWS_MIN,
    GroupingRules,
    group_rows,
    saved_tokens,
)

RULES = GroupingRules(block_size=16, granule=64, slots=16, partial_tokens=8, overhead_tokens=0)


def table(prefixes, rows, width=100):
    """A block table whose row r begins with its prefix's pages; every other page is its own."""
    fresh = iter(range(10_000, 10_000_000))
    return [
        prefixes[row][:width] + [next(fresh) for _ in range(width - len(prefixes[row][:width]))]
        for row in range(rows)
    ]


def prefix(name, pages):
    """Pages that all who name them share."""
    return [name * 1000 + page for page in range(pages)]


def test_rows_with_one_prefix_are_one_group():
    """The prefix is whole granules: 20 pages of 16 tokens are 5 of 64."""
    rows = group_rows(table([prefix(1, 21)] * 9, 9), [1000] * 9, [1] * 9, RULES)
    assert [(group.rows, group.prefix) for group in rows] == [(tuple(range(9)), 320)]


def test_too_few_rows_or_too_short_a_prefix_share_nothing():
    """Seven rows are too few, 255 tokens too short."""
    assert not group_rows(table([prefix(1, 40)] * 7, 7), [1000] * 7, [1] * 7, RULES)
    assert not group_rows(table([prefix(1, 15)] * 9, 9), [1000] * 9, [1] * 9, RULES)


def test_query_tokens_do_not_count_as_prefix():
    """All query tokens must see the whole prefix, so it ends before the first of them."""
    found = group_rows(table([prefix(1, 40)] * 8, 8), [340] * 8, [1, 30] * 4, RULES)
    assert found[0].prefix == 256


def test_a_deep_prefix_of_some_beats_a_shallow_one_of_all():
    """Two documents under one system prompt: each document's readers are a group."""
    system = prefix(1, 16)
    prefixes = [system + prefix(2 + row % 2, 70) for row in range(16)]
    found = group_rows(table(prefixes, 16), [1500] * 16, [1] * 16, RULES)
    assert [group.rows for group in found] == [tuple(range(0, 16, 2)), tuple(range(1, 16, 2))]
    assert {group.prefix for group in found} == {(16 + 70) * 16 // 64 * 64}


def test_an_equal_page_behind_unequal_ones_is_no_prefix():
    """Equality at a depth is only where the search begins."""
    prefixes = [[row, *prefix(1, 40)[1:]] for row in range(9)]
    assert not group_rows(table(prefixes, 9), [1000] * 9, [1] * 9, RULES)


def test_the_gate_is_closed_when_the_pass_costs_more_than_it_saves():
    """All groups pay for the one pass together."""
    tables, lengths, queries = table([prefix(1, 32)] * 9, 9), [1000] * 9, [1] * 9
    saved = saved_tokens(9, 512, RULES)
    for overhead, groups in ((saved, 1), (saved + 1, 0)):
        rules = GroupingRules(16, 64, 16, 8, overhead)
        assert len(group_rows(tables, lengths, queries, rules)) == groups


problems = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 90), st.integers(0, 1400), st.integers(0, 3)),
    max_size=30,
)


@given(problems, st.integers(2, 64), st.integers(0, 5000))
def test_groups_are_disjoint_truly_shared_and_pay(problem, slots, overhead):
    """Every invariant of a group, on tables where prefixes nest and rows end anywhere."""
    rules = GroupingRules(16, 64, slots, 8, overhead)
    tables = table([prefix(name, pages) for name, pages, _, _ in problem], len(problem))
    queries = [query for *_, query in problem]
    lengths = [context + query if query else 0 for _, _, context, query in problem]
    found = group_rows(tables, lengths, queries, rules)
    members = [row for group in found for row in group.rows]
    assert len(members) == len(set(members))
    for group in found:
        assert len(group.rows) >= GROUP_ROWS_MIN
        assert group.prefix >= 256
        assert group.prefix % rules.granule == 0
        assert all(group.prefix <= lengths[row] - queries[row] for row in group.rows)
        leading = {tuple(tables[row][: group.prefix // 16]) for row in group.rows}
        assert len(leading) == 1
    saved = sum(saved_tokens(len(group.rows), group.prefix, rules) for group in found)
    assert not found or saved >= overhead
