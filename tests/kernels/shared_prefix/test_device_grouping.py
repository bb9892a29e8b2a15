"""The grouping on the device forms the groups of the pure function and gathers their tokens."""

import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kernels.shared_prefix import allocate_shared_workspace, plan_shared_prefix
from kernels.shared_prefix.grouping import group_rows
from kernels.spec import AttentionSpec

SPEC = AttentionSpec(4, 1, 128, 0.1, 16, torch.float16)
WIDTH = 96  # pages of a row at most, 1,536 tokens

rows_of_prefixes = st.lists(
    st.tuples(
        st.sampled_from([1, 1, 1, 1, 2]),  # which prefix
        st.sampled_from([90, 90, 90, 70, 33, 16, 0]),  # how many pages of it
        st.one_of(st.integers(300, 1400), st.integers(0, 300)),  # tokens before the query
        st.sampled_from([1, 1, 2, 0]),  # query tokens
        st.sampled_from([True, True, True, False]),  # whether the first page is the prefix's too
    ),
    min_size=8,
    max_size=24,
)
SHARED = (1, 90, 1000, 1, True)
IMPOSTOR = (1, 90, 1000, 1, False)  # equal to the others but for its first page


def problem_of(rows):
    """Block table, lengths and query lengths."""
    table = torch.arange(len(rows) * WIDTH).view(-1, WIDTH) + 100_000
    for row, (name, pages, _, _, from_the_start) in enumerate(rows):
        first = 0 if from_the_start else 1
        table[row, first:pages] = name * 1000 + torch.arange(first, max(first, pages))
    queries = [query for *_, query, _ in rows]
    lengths = [context + query if query else 0 for _, _, context, query, _ in rows]
    return table.to(torch.int32), lengths, queries


@example(rows=[SHARED] * 9, overhead=0)
@example(rows=[IMPOSTOR, *[SHARED] * 9], overhead=0)
@example(rows=[SHARED, IMPOSTOR, *[SHARED] * 8, (1, 90, 1000, 2, True)], overhead=5000)
@settings(max_examples=12, deadline=None)
@given(rows=rows_of_prefixes, overhead=st.sampled_from([0, 400, 5000]))
def test_the_device_groups_as_the_pure_function_does(device, rows, overhead):
    """Skipped lengths, gathered rows and the gate agree; every member is gathered once."""
    table, lengths, queries = problem_of(rows)
    workspace = allocate_shared_workspace(
        SPEC, 32, 2, overhead_bytes=overhead * SPEC.kv_token_bytes, device=device, workers=4
    )
    workspace.gathered.gather_token.fill_(12345)  # what an earlier step may have left
    starts = torch.tensor([0, *queries]).cumsum(0).to(torch.int32)
    seq_lens = torch.tensor(lengths, dtype=torch.int32)
    plan_shared_prefix(workspace, table.to(device), seq_lens.to(device), starts.to(device))

    groups = group_rows(table.tolist(), lengths, queries, workspace.rules)
    skipped = dict.fromkeys(range(len(rows)), 0)
    for group in groups:
        skipped |= dict.fromkeys(group.rows, group.prefix)
    assert workspace.skipped.skip_lens[: len(rows)].tolist() == list(skipped.values())
    assert gathered_groups(workspace, len(rows)) == wanted_groups(groups, workspace, starts)


def gathered_groups(workspace, rows):
    """Of each gathered row: its prefix, the row whose pages it reads, its tokens."""
    lens, leaders = workspace.prefix_lens.tolist(), workspace.gathered.table_rows.tolist()
    starts = workspace.gathered_start_loc.tolist()
    tokens = workspace.gathered.gather_token.tolist()
    return [
        (lens[row], leaders[row], tokens[starts[row] : starts[row + 1]])
        for row in range(rows)
        if lens[row]
    ]


def wanted_groups(groups, workspace, starts):
    """The same from the pure function's groups."""
    slots, query_len = workspace.rules.slots, workspace.suffix.max_query_len
    starts = starts.tolist()
    wanted = []
    for group in groups:
        for first in range(0, len(group.rows), slots):
            tokens = []
            for row in group.rows[first : first + slots]:
                own = list(range(starts[row], starts[row + 1]))
                tokens += own + [-1] * (query_len - len(own))
            tokens += [-1] * (slots * query_len - len(tokens))
            wanted.append((group.prefix, group.rows[0], tokens))
    return wanted
