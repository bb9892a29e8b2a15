"""The interpreter's bf16 is wrong as it comes and right when repaired."""

import os

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from hypothesis import given
from hypothesis import strategies as st
from triton.runtime.interpreter import InterpreterBuilder

from kernels.testing.interpreter import AS_IT_COMES, round_to_bf16, widen_bf16

pytestmark = pytest.mark.skipif(
    os.environ.get("TRITON_INTERPRET") != "1", reason="the repairs concern the interpreter"
)


@triton.jit
def _product(a, b, out, n: tl.constexpr):
    i = tl.arange(0, n)
    square = i[:, None] * n + i[None, :]
    tl.store(out + square, tl.dot(tl.load(a + square), tl.load(b + square)))


@triton.jit
def _narrow(x, out, n: tl.constexpr):
    i = tl.arange(0, n)
    tl.store(out + i, tl.load(x + i).to(tl.bfloat16))


@pytest.fixture
def interpreter_as_it_comes(monkeypatch):
    """Take the repairs out again for one test."""
    monkeypatch.setattr(InterpreterBuilder, "create_dot", AS_IT_COMES[0])
    monkeypatch.setattr(InterpreterBuilder, "cast_impl", AS_IT_COMES[1])


def _product_error() -> float:
    rng = torch.Generator().manual_seed(1)
    a, b = (torch.randn(16, 16, generator=rng).bfloat16() for _ in range(2))
    out = torch.empty(16, 16)
    _product[(1,)](a, b, out, 16)
    return (out.double() - a.double() @ b.double()).abs().max().item()


def _narrowed(x: torch.Tensor) -> torch.Tensor:
    out = torch.empty(len(x), dtype=torch.bfloat16)
    _narrow[(1,)](x, out, len(x))
    return out


@pytest.mark.usefixtures("interpreter_as_it_comes")
def test_without_the_repairs_bf16_is_wrong():
    """If this fails, Triton has learnt bf16 and the repairs can go."""
    assert _product_error() > 1
    x = torch.linspace(1, 2, 64)
    assert not torch.equal(_narrowed(x), x.bfloat16())


def test_a_repaired_dot_is_as_exact_as_fp32():
    """Products of bf16 are exact in fp32; only 16 additions round."""
    assert _product_error() < 1e-5


def test_a_repaired_cast_rounds_as_torch_does():
    """Ties, infinities and both zeros included."""
    x = torch.linspace(1, 2, 64)
    x[:4] = torch.tensor([float("inf"), -float("inf"), 0.0, -0.0])
    assert torch.equal(_narrowed(x), x.bfloat16())


@given(st.integers(0, 2**32 - 1))
def test_rounding_agrees_with_torch_on_any_bits(bits):
    """NaN stays NaN; everything else has torch's bits."""
    value = np.array([bits], np.uint32).view(np.float32)
    ours = widen_bf16(round_to_bf16(value))
    theirs = torch.from_numpy(value).bfloat16().float().numpy()
    assert (np.isnan(ours[0]) and np.isnan(theirs[0])) or ours[0] == theirs[0]
