"""Mixed steps: every row of a step goes to the kernel that suits its query's length."""

from kernels.mixed.api import MixedPlan, StepShape, mixed_attention, plan_mixed

__all__ = ["MixedPlan", "StepShape", "mixed_attention", "plan_mixed"]
