"""What shared-prefix decode computes, in float64: sharing changes who reads, not what is read."""

from kernels.testing.reference import reference_paged_attention

__all__ = ["reference_paged_attention"]
