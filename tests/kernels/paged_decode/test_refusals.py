"""What paged decode cannot do is refused by name, before a launch."""

from dataclasses import replace

import pytest
import torch

from kernels.paged_decode import allocate_workspace, paged_decode, plan_decode
from kernels.spec import AttentionSpec, UnsupportedAttentionError
from kernels.testing import make_case, poisoned_like

SPEC = AttentionSpec(4, 2, 64, 0.125, 16, torch.bfloat16)


@pytest.fixture
def case(device):
    return make_case(SPEC, [1, 1], [20, 30], device=device)


@pytest.fixture
def workspace(device):
    return allocate_workspace(SPEC, 2, device=device)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [((SPEC, 0), "max_rows"), ((SPEC, 5000), "max_rows"), ((SPEC, 4, 0), "max_query_len")],
)
def test_a_workspace_has_bounds(arguments, name, device):
    """Bounds keep the plan's arithmetic within int32."""
    with pytest.raises(UnsupportedAttentionError, match=name):
        allocate_workspace(*arguments, device=device)


def test_more_rows_than_the_workspace_holds(device, workspace):
    """They would write beyond the plan's buffers."""
    case = make_case(SPEC, [1, 1, 1], [20, 30, 40], device=device)
    with pytest.raises(UnsupportedAttentionError, match="3 rows exceed max_rows 2"):
        plan_decode(workspace, case.seq_lens, case.query_start_loc)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("q", lambda x: x.half()),
        ("q", lambda x: x[:, :2]),
        ("q", lambda x: x.transpose(1, 2).contiguous().transpose(1, 2)),
        ("kv_cache", lambda x: x[..., :64]),
        ("kv_cache", lambda x: x.view(torch.int16)),
        ("block_table", lambda x: x.long()),
        ("block_table", lambda x: x[:1]),
        ("block_table", lambda x: x.to("meta")),
        ("seq_lens", lambda x: x.long()),
        ("query_start_loc", lambda x: x[:-1]),
    ],
)
def test_a_tensor_of_the_wrong_kind_is_named(case, workspace, field, change):
    """Shape, dtype and layout are checked on the host; contents are not."""
    wrong = replace(case, **{field: change(getattr(case, field))})
    with pytest.raises(UnsupportedAttentionError, match=field):
        paged_decode(wrong.layer(*poisoned_like(wrong.q)), *wrong.tensors[3:], workspace)


def test_per_head_tensors_come_exactly_when_the_spec_asks(case, workspace, device):
    """A sink that is silently ignored would be a wrong model."""
    for name in ("sinks", "alibi_slopes"):
        wrong = replace(case, **{name: torch.zeros(4, device=device)})
        with pytest.raises(UnsupportedAttentionError, match=name):
            paged_decode(wrong.layer(*poisoned_like(case.q)), *case.tensors[3:], workspace)
