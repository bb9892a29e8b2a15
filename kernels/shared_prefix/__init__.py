"""Decode of rows that share leading pages, grouped on the device."""

from kernels.shared_prefix.api import plan_shared_prefix, shared_prefix_decode
from kernels.shared_prefix.gate import could_share
from kernels.shared_prefix.workspace import SharedPrefixWorkspace, allocate_shared_workspace

__all__ = [
    "SharedPrefixWorkspace",
    "allocate_shared_workspace",
    "could_share",
    "plan_shared_prefix",
    "shared_prefix_decode",
]
