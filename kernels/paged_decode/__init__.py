"""Split-KV decode over a paged cache, planned on the device."""

from kernels.paged_decode.api import paged_decode, plan_decode
from kernels.paged_decode.workspace import DecodeWorkspace, allocate_workspace

__all__ = ["DecodeWorkspace", "allocate_workspace", "paged_decode", "plan_decode"]
