"""VLLM's kernels for adapters on a CPU, and rows that have none."""

import importlib

import pytest

pytestmark = [
    pytest.mark.live,  # it imports vLLM, which takes ten seconds
    pytest.mark.filterwarnings("ignore"),  # of what vLLM imports
]

ROWS, FEATURES, RANK, OUT, PLACES = 4, 6, 2, 5, 3


@pytest.fixture
def kernels(monkeypatch):
    """The module of kernels, as vLLM has it again after the test, and torch."""
    lora_ops = importlib.import_module("vllm.lora.ops.torch_ops.lora_ops")
    punica = importlib.import_module("vllm.lora.punica_wrapper.punica_cpu")
    for module in (lora_ops, punica):
        for name in ("bgmv_shrink", "bgmv_expand", "bgmv_expand_slice"):
            monkeypatch.setattr(module, name, getattr(module, name))
    importlib.import_module("serving.vllm_cpu_lora").spare_the_base_model()
    return lora_ops, importlib.import_module("torch")


def test_a_row_without_an_adapter_is_left_as_it_is(kernels):
    """And those with one are as they would be alone."""
    ops, torch = kernels
    torch.manual_seed(0)
    inputs, base = torch.randn(ROWS, FEATURES), torch.randn(ROWS, OUT)
    shrink, expand = torch.randn(PLACES, RANK, FEATURES), torch.randn(PLACES, OUT, RANK)
    indices = torch.tensor([-1, 2, 0, -1])
    narrow, wide = torch.zeros(ROWS, RANK), base.clone()
    ops.bgmv_shrink(inputs, shrink, narrow, indices, 2.0)
    ops.bgmv_expand(narrow, expand, wide, indices, add_inputs=True)
    for row, place in enumerate(indices.tolist()):
        added = expand[place] @ (2.0 * shrink[place] @ inputs[row]) if place >= 0 else 0.0
        torch.testing.assert_close(wide[row], base[row] + added)
    part = base.clone()
    ops.bgmv_expand_slice(inputs[:, :RANK], expand[:, :2], part, indices, 1, 2, add_inputs=True)
    assert torch.equal(part[0], base[0])
    assert not torch.equal(part[1], base[1])


def test_kernels_are_mended_once(kernels):
    ops, _ = kernels
    mended = ops.bgmv_shrink
    importlib.import_module("serving.vllm_cpu_lora").spare_the_base_model()
    assert ops.bgmv_shrink is mended
