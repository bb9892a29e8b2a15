"""The shared Triton pieces agree with PyTorch, bit for bit where they claim to be exact."""

import math

import pytest
import torch
import triton
import triton.language as tl

from kernels import tile


@triton.jit
def _decode(x, out, native: tl.constexpr):
    i = tl.arange(0, 256)
    tl.store(out + i, tile.decode_e4m3(tl.load(x + i), out.dtype.element_ty, native))


@triton.jit
def _score(x, out, scale_log2e, soft_cap: tl.constexpr):
    i = tl.arange(0, 64)
    tl.store(out + i, tile.log2_scores(tl.load(x + i), scale_log2e, soft_cap))


@triton.jit
def _see(out, window: tl.constexpr):
    q, k = tl.arange(0, 16), tl.arange(0, 32)
    mask = tile.visible(q + 16, k, window)
    tl.store(out + q[:, None] * 32 + k[None, :], mask.to(tl.int8))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("native", [False, True])
def test_every_finite_e4m3_byte_decodes_exactly(dtype, native, device):
    """Subnormals and both zeros included."""
    if native and device == "cuda" and torch.cuda.get_device_capability() < (8, 9):
        pytest.skip("no hardware conversion on this GPU")
    codes = torch.arange(256, dtype=torch.uint8)
    out = torch.empty(256, dtype=dtype, device=device)
    _decode[(1,)](codes.to(device), out, native)
    truth = codes.view(torch.float8_e4m3fn).float().to(dtype)
    finite = ~truth.isnan()
    assert finite.sum() == 254
    assert torch.equal(out.cpu()[finite], truth[finite])


@pytest.mark.parametrize("soft_cap", [0.0, 5.0, 50.0])
def test_scores_are_capped_and_in_log2_units(soft_cap, device):
    """Far beyond the cap the score is the cap itself, without overflow to NaN."""
    x = torch.linspace(-3000, 3000, 64)
    out = torch.empty(64, device=device)
    _score[(1,)](x.to(device), out, 0.125 * math.log2(math.e), soft_cap)
    truth = x.double() * 0.125
    if soft_cap:
        truth = soft_cap * torch.tanh(truth / soft_cap)
    torch.testing.assert_close(
        out.cpu().double(), truth * math.log2(math.e), rtol=1e-5, atol=1e-5 * (soft_cap or 1)
    )


@pytest.mark.parametrize("window", [0, 1, 7, 64])
def test_a_query_sees_itself_and_its_window(window, device):
    """Neither later keys nor keys before the window."""
    out = torch.empty(16, 32, dtype=torch.int8, device=device)
    _see[(1,)](out, window)
    q, k = torch.arange(16, 32)[:, None], torch.arange(32)[None, :]
    truth = (k <= q) & ((k > q - window) if window else True)
    assert torch.equal(out.cpu().bool(), truth)
