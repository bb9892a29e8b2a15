"""The planner on the device writes what the pure planner computes."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.paged_decode import allocate_workspace, plan_decode
from kernels.paged_decode.plan import plan, row_span
from kernels.spec import AttentionSpec

rows_of_lengths = st.lists(
    st.tuples(st.integers(0, 3), st.one_of(st.integers(3, 400), st.integers(3, 40_000))),
    min_size=1,
    max_size=9,
)


@settings(max_examples=15, deadline=None)
@given(rows_of_lengths, st.integers(1, 70), st.sampled_from([0, 100]), st.booleans())
def test_the_device_planner_equals_the_pure_planner(device, rows, workers, window, invariant):
    """Rows without query tokens are graph padding and take no tiles."""
    spec = AttentionSpec(8, 2, 128, 0.1, 16, torch.float16, sliding_window=window)
    workspace = allocate_workspace(
        spec, 12, 3, batch_invariant=invariant, device=device, workers=workers
    )
    query_lens = [query for query, _ in rows]
    seq_lens = [length if query else 0 for query, length in rows]
    starts = torch.tensor([0, *query_lens]).cumsum(0).to(torch.int32).to(device)
    plan_decode(workspace, torch.tensor(seq_lens, dtype=torch.int32, device=device), starts)

    spans = [
        row_span(length, query, workspace.config.block_n, window)
        for query, length in zip(query_lens, seq_lens, strict=True)
    ]
    wanted = plan(spans, workspace.heads, workers, workspace.config)
    assert workspace.share.item() == wanted.share
    assert tuple(workspace.row_tiles[: len(rows) + 1].tolist()) == wanted.row_tiles
    assert tuple(workspace.worker_row.tolist()) == wanted.worker_row


def test_more_rows_than_one_block_of_the_planner(device):
    """Running sums carry over from one block of 256 rows to the next."""
    spec = AttentionSpec(2, 1, 64, 0.1, 16, torch.float16)
    workspace = allocate_workspace(spec, 700, device=device, workers=40)
    lengths = [(row * 37) % 900 for row in range(700)]
    query_lens = [int(length > 0) for length in lengths]
    starts = torch.tensor([0, *query_lens]).cumsum(0).to(torch.int32).to(device)
    plan_decode(workspace, torch.tensor(lengths, dtype=torch.int32, device=device), starts)
    spans = [row_span(length, 1, workspace.config.block_n, 0) for length in lengths]
    wanted = plan(spans, workspace.heads, 40, workspace.config)
    assert tuple(workspace.row_tiles.tolist()) == wanted.row_tiles
    assert tuple(workspace.worker_row.tolist()) == wanted.worker_row
