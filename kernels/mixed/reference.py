"""What a mixed step computes, in float64: a row's kernel does not change its result."""

from kernels.testing.reference import reference_paged_attention

__all__ = ["reference_paged_attention"]
