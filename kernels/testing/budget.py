"""How much error a kernel may make: a multiple of what plain PyTorch makes in the same precision.

The criterion is that of FlashAttention's own tests. It needs no hand-picked tolerance, and it
tightens by itself where the problem is easy.
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class ErrorBudget:
    """Allowed error in multiples of plain PyTorch's error.

    Attributes:
        max_ratio: on the largest absolute error.
        mean_ratio: on the mean absolute error.
        ulps: added to both, in units of the output's epsilon times the largest true value; it
            matters only where plain PyTorch happens to be exact.
    """

    max_ratio: float = 2.0
    mean_ratio: float = 1.5
    ulps: float = 4.0


def assert_within_budget(
    actual: torch.Tensor,
    truth: torch.Tensor,
    plain: torch.Tensor,
    budget: ErrorBudget = ErrorBudget(),
) -> None:
    """Compare a kernel's output with the truth, as generously as plain PyTorch deserves.

    Args:
        actual: the kernel's output, any float dtype, on any device; its dtype gives the ulp.
        truth: the float64 reference, of the same shape.
        plain: the reference computed in the layer's precision.
        budget: the allowed multiples.

    Raises:
        AssertionError: a value is not finite, or the maximum or mean error exceeds its budget.
    """
    assert actual.shape == truth.shape, f"shape {actual.shape} where {truth.shape} was expected"
    if actual.numel() == 0:
        return
    actual, truth, plain = actual.cpu(), truth.cpu(), plain.cpu()
    finite = torch.isfinite(actual)
    assert finite.all(), f"{(~finite).sum()} of {actual.numel()} values are not finite"
    error = (actual.double() - truth).abs()
    yardstick = (plain.double() - truth).abs()
    slack = budget.ulps * torch.finfo(actual.dtype).eps * truth.abs().max().item()
    for name, measured, allowed in (
        ("max", error.max().item(), budget.max_ratio * yardstick.max().item() + slack),
        ("mean", error.mean().item(), budget.mean_ratio * yardstick.mean().item() + slack / 4),
    ):
        assert measured <= allowed, f"{name} error {measured:.3e} exceeds its budget {allowed:.3e}"
