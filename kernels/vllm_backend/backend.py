"""What vLLM asks of an attention backend before it makes layers."""

from typing import Any, ClassVar

import torch
from vllm.platforms import current_platform
from vllm.platforms.interface import DeviceCapability
from vllm.v1.attention.backend import AttentionBackend, AttentionType
from vllm.v1.kv_cache_interface import KVCacheLayout

from kernels.spec import BLOCK_SIZES, CAPABILITY_MIN, DTYPES, HEAD_DIMS
from kernels.vllm_backend.builder import SpillwayMetadataBuilder
from kernels.vllm_backend.impl import SpillwayAttentionImpl
from kernels.vllm_backend.layer import FP8_DTYPES, SAME_DTYPES

#: Tokens of a page where nobody chooses: the least that the Hopper prefill's descriptors can load.
PREFERRED_BLOCK_SIZE = 64


class SpillwayAttentionBackend(AttentionBackend):
    """See vLLM's class for what the methods are asked."""

    supported_dtypes: ClassVar[list[torch.dtype]] = list(DTYPES)
    supported_kv_cache_dtypes: ClassVar[list[Any]] = [*SAME_DTYPES, *FP8_DTYPES]
    forward_includes_kv_cache_update: bool = False

    @staticmethod
    def get_name() -> str:
        """The member of vLLM's registry whose place it takes."""
        return "CPU_ATTN" if current_platform.is_cpu() else "CUSTOM"

    @staticmethod
    def get_impl_cls() -> type[SpillwayAttentionImpl]:
        """The attention of one layer."""
        return SpillwayAttentionImpl

    @staticmethod
    def get_builder_cls() -> type[SpillwayMetadataBuilder]:
        """What plans each step."""
        return SpillwayMetadataBuilder

    @staticmethod
    def get_supported_kernel_block_sizes(kv_cache_spec: Any = None) -> list[Any]:
        """Pages that the kernels are compiled for; vLLM splits its own pages to fit."""
        del kv_cache_spec
        return list(BLOCK_SIZES)

    @classmethod
    def get_preferred_block_size(cls, default_block_size: int) -> int:
        """At least `PREFERRED_BLOCK_SIZE`."""
        return max(default_block_size, PREFERRED_BLOCK_SIZE)

    @classmethod
    def get_supported_head_sizes(cls) -> list[int]:
        """Elements of one head."""
        return list(HEAD_DIMS)

    @classmethod
    def supported_kv_cache_layouts(cls) -> tuple[KVCacheLayout, ...]:
        """Either; one head's tokens beside each other make longer runs of bytes."""
        return (KVCacheLayout.LBHNC, KVCacheLayout.LBNHC)

    @classmethod
    def supports_sink(cls) -> bool:
        """A logit for each query head."""
        return True

    @classmethod
    def supports_sliding_window(cls) -> bool:
        """Tiles outside the window are not read."""
        return True

    @classmethod
    def supports_batch_invariance(cls) -> bool:
        """See `step.Planner` for how."""
        return True

    @classmethod
    def supports_attn_type(cls, attn_type: str) -> bool:
        """Decoders alone: everything here is causal."""
        return attn_type == AttentionType.DECODER

    @classmethod
    def supports_compute_capability(cls, capability: DeviceCapability) -> bool:
        """Ampere and later."""
        return capability.to_int() >= CAPABILITY_MIN
