"""Decode a case in one call, on poisoned outputs."""

from collections.abc import Callable

import pytest
import torch

from kernels.paged_decode import DecodeWorkspace, allocate_workspace, paged_decode, plan_decode
from kernels.testing import PagedCase, poisoned_like

Decode = Callable[..., tuple[torch.Tensor, torch.Tensor]]


@pytest.fixture(scope="session")
def decode() -> Decode:
    """A function from a case to its output and log-sum-exp."""

    def run(
        case: PagedCase,
        workspace: DecodeWorkspace | None = None,
        *,
        workers: int = 4,
        batch_invariant: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        workspace = workspace or allocate_workspace(
            case.spec,
            len(case.seq_lens),
            case.max_query_len,
            batch_invariant=batch_invariant,
            device=case.q.device,
            workers=workers,
        )
        out, lse = poisoned_like(case.q)
        plan_decode(workspace, case.seq_lens, case.query_start_loc)
        paged_decode(case.layer(out, lse), *case.tensors[3:], workspace)
        assert not workspace.arrivals.any(), "a counter was left behind"
        return out.cpu(), lse.cpu()

    return run
