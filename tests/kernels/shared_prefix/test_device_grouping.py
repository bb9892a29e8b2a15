"""The grouping on the device forms the groups of the pure function and gathers their tokens."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.shared_prefix import allocate_shared_workspace, plan_shared_prefix
from kernels.shared_prefix.grouping import group_rows
from kernels.spec import AttentionSpec

SPEC = AttentionSpec(4, 1, 128, 0.1, 16, torch.float16)
WIDTH = 96  # pages of a row at most, 1,536 tokens

rows_of_prefixes = st.lists(
    st.tuples(
        st.sampled_from([1, 1, 1, 2]),  # which prefix
        st.sampled_from([0, 16, 33, 70, 90]),  # how many pages of it
        st.integers(0, 1400),  # tokens before the query
        st.integers(0, 2),  # query tokens
    ),
    min_size=8,
    max_size=24,
)


def problem_of(rows):
    """Block table, lengths and query lengths."""
    table = torch.arange(len(rows) * WIDTH).view(-1, WIDTH) + 100_000
    for row, (name, pages, _, _) in enumerate(rows):
        table[row, :pages] = name * 1000 + torch.arange(pages)
    queries = [query for *_, query in rows]
    lengths = [context + query if query else 0 for _, _, context, query in rows]
    return table.to(torch.int32), lengths, queries


@settings(max_examples=12, deadline=None)
@given(rows_of_prefixes, st.sampled_from([0, 400, 5000]))
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
