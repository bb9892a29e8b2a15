"""A layer of vLLM in the words of the kernels."""

from dataclasses import dataclass
from typing import Any

import torch

from kernels.spec import AttentionSpec, UnsupportedAttentionError

#: vLLM's names of a cache in the model's own type, and of one in e4m3.
SAME_DTYPES = ("auto", "float16", "bfloat16")
FP8_DTYPES = ("fp8", "fp8_e4m3")


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What vLLM tells a layer's implementation before the cache exists."""

    num_q_heads: int
    num_kv_heads: int
    head_dim: int
    scale: float
    kv_cache_dtype: str
    sliding_window: int
    soft_cap: float
    sinks: bool
    alibi: bool

    def spec(self, dtype: torch.dtype, kv_cache: torch.dtype, block_size: int) -> AttentionSpec:
        """The layer's spec over a cache of that type and page size.

        Args:
            dtype: of queries.
            kv_cache: element type of the cache as vLLM allocated it.
            block_size: tokens of a page.

        Raises:
            UnsupportedAttentionError: the cache is of another type than the queries, or fp8 of a
                kind that no kernel reads.
        """
        if self.kv_cache_dtype in FP8_DTYPES:
            kv_dtype = "fp8_e4m3"
        elif self.kv_cache_dtype in SAME_DTYPES and kv_cache == dtype:
            kv_dtype = "same"
        else:
            raise UnsupportedAttentionError(
                f"kv_cache_dtype {self.kv_cache_dtype} ({kv_cache}) with queries of {dtype}: "
                f"the cache is of the queries' type, or one of {FP8_DTYPES}"
            )
        return AttentionSpec(
            num_q_heads=self.num_q_heads,
            num_kv_heads=self.num_kv_heads,
            head_dim=self.head_dim,
            scale=self.scale,
            block_size=block_size,
            dtype=dtype,
            kv_dtype=kv_dtype,
            sliding_window=self.sliding_window,
            soft_cap=self.soft_cap,
            sinks=self.sinks,
            alibi=self.alibi,
        )


def scales_of(layer: Any, spec: AttentionSpec) -> dict[str, float]:
    """What the elements of a layer's cache are multiplied by; 1 where it is not quantised."""
    if spec.kv_dtype == "same":
        return {"k_scale": 1.0, "v_scale": 1.0}
    return {"k_scale": layer._k_scale_float, "v_scale": layer._v_scale_float}  # noqa: SLF001
