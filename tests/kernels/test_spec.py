"""Unsupported attention is refused by the argument's name, before any launch."""

from dataclasses import replace

import pytest
import torch

from kernels.spec import INTERPRETER, AttentionSpec, UnsupportedAttentionError, check

LLAMA = AttentionSpec(32, 8, 128, 128**-0.5, 16, torch.bfloat16)


def test_every_listed_feature_is_accepted_at_once():
    """Features combine freely."""
    spec = replace(
        LLAMA, kv_dtype="fp8_e4m3", sliding_window=128, soft_cap=50.0, sinks=True, alibi=True
    )
    for capability in (INTERPRETER, 80, 89, 90):
        check(spec, capability)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("num_q_heads", 12),
        ("num_kv_heads", 0),
        ("head_dim", 72),
        ("scale", 0.0),
        ("block_size", 24),
        ("dtype", torch.float64),
        ("dtype", torch.float32),
        ("kv_dtype", "fp8_e5m2"),
        ("sliding_window", -1),
        ("soft_cap", -1.0),
    ],
)
def test_a_refusal_names_its_argument(argument, value):
    """The reader of the message need not guess which of many arguments it is about."""
    with pytest.raises(UnsupportedAttentionError, match=argument):
        check(replace(LLAMA, **{argument: value}), 90)


def test_old_hardware_is_refused():
    """Volta and Turing lack the copies the kernels are built on."""
    with pytest.raises(UnsupportedAttentionError, match="capability 75"):
        check(LLAMA, 75)
