"""What paged decode computes, in float64."""

from kernels.testing.reference import reference_paged_attention

__all__ = ["reference_paged_attention"]
