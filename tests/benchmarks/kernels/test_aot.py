"""What a runtime would launch compiles as designed, for A100 and for H100 and H200."""

import json
import sys

import pytest

from benchmarks.kernels.__main__ import main
from benchmarks.kernels.aot import compile_all
from benchmarks.kernels.aot_worker import OPERATIONS
from benchmarks.kernels.expectations import faults
from benchmarks.kernels.vllm_unified import UnifiedKernelMissingError, load_unified_attention


@pytest.mark.slow
@pytest.mark.compiles
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("capability", [80, 90])
def test_every_variant_compiles_as_designed(capability, operation):
    """No spills, no stack; wgmma in sm_90 prefill; KV multi-buffered; enough bytes in flight."""
    kernels, errors = compile_all(None, capability, [f"{operation}/"])
    assert errors == []
    assert faults(kernels) == []
    assert len({kernel.title for kernel in kernels}) == len(kernels) > 20


@pytest.mark.slow
@pytest.mark.compiles
def test_the_specialised_path_is_really_specialised():
    """Twelve warps, bulk loads and no other copies: the compiler can decline without a word."""
    kernels, _ = compile_all(None, 90, ["paged_prefill/specialised"])
    assert kernels
    for kernel in kernels:
        assert kernel.warps == 12, kernel.title
        assert kernel.instructions["bulk_load"], kernel.title
        assert not kernel.instructions["cp_async"], kernel.title


@pytest.mark.slow
@pytest.mark.compiles
def test_the_command_prints_writes_and_compares(tmp_path, capsys):
    """One table, one sentence on the rival, one file of figures; no fault, so status 0."""
    path = tmp_path / "aot.json"
    chosen = ["paged_prefill/specialised-d128-fp16", "paged_prefill/specialised-d128", "vllm/"]
    command = ["aot", "--capability", "90", "--only", *chosen, "--json", str(path)]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "vllm/prefill-d128 takes" in printed
    written = json.loads(path.read_text())
    assert written["faults"] == []
    assert {kernel["operation"] for kernel in written["kernels"]} == {"paged_prefill", "vllm"}


def test_a_folder_without_the_rival_is_told(tmp_path):
    """On a machine without vLLM its two files come in a folder; another folder is a mistake."""
    with pytest.raises(UnifiedKernelMissingError, match="does not load"):
        load_unified_attention(tmp_path)


def test_loading_the_rival_leaves_no_trace():
    """The stand-ins for vLLM's modules are gone once its kernel is loaded."""
    before = {name: module for name, module in sys.modules.items() if name.startswith("vllm")}
    assert callable(load_unified_attention().unified_attention)
    after = {name: module for name, module in sys.modules.items() if name.startswith("vllm")}
    assert after == before
