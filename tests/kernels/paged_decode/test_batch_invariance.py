"""In batch-invariant mode a row's bits do not depend on its company."""

from dataclasses import replace

import pytest
import torch

from kernels.paged_decode import allocate_workspace
from kernels.spec import AttentionSpec
from kernels.testing import make_case

SPEC = AttentionSpec(4, 2, 64, 0.125, 16, torch.bfloat16)
QUERY_LENS, SEQ_LENS = [1, 3, 1, 1], [520, 290, 33, 700]


def subset(case, order):
    """The case with only these rows, in this order, on the same pages."""
    starts = case.query_start_loc.tolist()
    tokens = [token for row in order for token in range(starts[row], starts[row + 1])]
    lengths = [starts[row + 1] - starts[row] for row in order]
    return replace(
        case,
        q=case.q[tokens].contiguous(),
        block_table=case.block_table[order].contiguous(),
        seq_lens=case.seq_lens[order].contiguous(),
        query_start_loc=torch.tensor([0, *lengths]).cumsum(0).to(case.query_start_loc),
    )


def by_row(case, result):
    """Output and log-sum-exp of each row."""
    lengths = case.query_start_loc.diff().tolist()
    return list(zip(result[0].split(lengths), result[1].split(lengths), strict=True))


@pytest.fixture(scope="module")
def run(decode, device):
    """Decode rows of one fixed case, with workspaces as one engine would allocate them."""
    case = make_case(SPEC, QUERY_LENS, SEQ_LENS, device=device)

    def run_rows(order, workers, *, batch_invariant=True):
        workspace = allocate_workspace(
            SPEC, 4, 3, batch_invariant=batch_invariant, device=device, workers=workers
        )
        part = subset(case, order)
        return dict(zip(order, by_row(part, decode(part, workspace)), strict=True))

    return run_rows


@pytest.fixture(scope="module")
def together(run):
    """Every row's result when all four are one batch."""
    return run([0, 1, 2, 3], 4)


@pytest.mark.parametrize(
    ("order", "workers"),
    [([0], 4), ([1], 1), ([2, 0], 3), ([3, 2, 1, 0], 5), ([3, 1], 7), ([1, 0, 3], 2)],
)
def test_the_same_bits_alone_in_company_and_in_any_order(run, together, order, workers):
    """Alone, reordered, and with every other row's share cut elsewhere."""
    for row, (out, lse) in run(order, workers).items():
        assert torch.equal(out, together[row][0])
        assert torch.equal(lse, together[row][1])


def test_the_balanced_mode_has_other_bits(run):
    """If it had the same, the test above would prove nothing."""
    alone = run([0], 4, batch_invariant=False)[0]
    together = run([0, 1, 2, 3], 4, batch_invariant=False)[0]
    assert not torch.equal(alone[0], together[0]) or not torch.equal(alone[1], together[1])
