"""Paged prefill: causal attention of many query tokens a row over a paged cache."""

from kernels.paged_prefill.api import paged_prefill
from kernels.paged_prefill.config import PrefillConfig, PrefillShape
from kernels.paged_prefill.planner import PrefillPlan, plan_prefill

__all__ = ["PrefillConfig", "PrefillPlan", "PrefillShape", "paged_prefill", "plan_prefill"]
