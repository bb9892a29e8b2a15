"""The plugin and a layer's properties, without vLLM."""

import sys

import pytest
import torch

from kernels.spec import AttentionSpec, UnsupportedAttentionError
from kernels.vllm_backend.layer import LayerShape
from kernels.vllm_backend.plugin import VARIABLE, register

LAYER = LayerShape(8, 2, 64, 0.125, "auto", 0, 0.0, sinks=False, alibi=False)


@pytest.mark.parametrize("value", [None, "0", ""])
def test_unless_asked_the_plugin_does_nothing(monkeypatch, value):
    """Not even import vLLM's registry: every vLLM of the installation loads the plugin."""
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    monkeypatch.setitem(sys.modules, "vllm.platforms", None)  # an import of it would raise
    register()


def test_a_layer_keeps_its_properties():
    spec = LAYER.spec(torch.float16, torch.float16, 32)
    assert spec == AttentionSpec(8, 2, 64, 0.125, 32, torch.float16)


@pytest.mark.parametrize(
    ("cache", "queries", "stored"),
    [
        ("auto", torch.float16, torch.bfloat16),
        ("fp8_e5m2", torch.float16, torch.uint8),
        ("int8_per_token_head", torch.float16, torch.int8),
    ],
)
def test_a_cache_that_no_kernel_reads_is_refused(cache, queries, stored):
    layer = LayerShape(8, 2, 64, 0.125, cache, 0, 0.0, sinks=False, alibi=False)
    with pytest.raises(UnsupportedAttentionError, match="kv_cache_dtype"):
        layer.spec(queries, stored, 32)


@pytest.mark.parametrize("cache", ["fp8", "fp8_e4m3"])
def test_fp8_is_e4m3(cache):
    layer = LayerShape(8, 2, 64, 0.125, cache, 0, 0.0, sinks=False, alibi=False)
    assert layer.spec(torch.bfloat16, torch.uint8, 64).kv_dtype == "fp8_e4m3"
