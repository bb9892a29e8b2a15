"""The truth for paged prefill: attention in float64 over the gathered cache."""

from kernels.testing.reference import reference_paged_attention

reference_paged_prefill = reference_paged_attention
