"""Test support for attention kernels: a reference, an error budget, cases, interpreter repairs."""

from kernels.testing.budget import ErrorBudget, assert_within_budget
from kernels.testing.cases import PagedCase, make_case, poisoned_like
from kernels.testing.interpreter import patched_interpreter
from kernels.testing.reference import reference_paged_attention

__all__ = [
    "ErrorBudget",
    "PagedCase",
    "assert_within_budget",
    "make_case",
    "patched_interpreter",
    "poisoned_like",
    "reference_paged_attention",
]
