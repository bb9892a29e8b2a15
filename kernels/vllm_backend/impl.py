"""The attention of one layer, called by vLLM."""

from typing import Any

import torch
from vllm.v1.attention.backend import AttentionImpl, AttentionType

from kernels.cache_write import cache_write
from kernels.spec import AttentionSpec, UnsupportedAttentionError
from kernels.tensors import LayerTensors
from kernels.vllm_backend.layer import FP8_DTYPES, LayerShape, scales_of
from kernels.vllm_backend.step import SpillwayMetadata


class SpillwayAttentionImpl(AttentionImpl[SpillwayMetadata]):
    """See vLLM's class for what the methods are asked."""

    def __init__(
        self,
        num_heads: int,
        head_size: int,
        scale: float,
        num_kv_heads: int,
        alibi_slopes: list[float] | None,
        sliding_window: int | None,
        kv_cache_dtype: str,
        logits_soft_cap: float | None = None,
        attn_type: str = AttentionType.DECODER,
        kv_sharing_target_layer_name: str | None = None,
        sinks: torch.Tensor | None = None,
    ) -> None:
        """Note the layer's properties.

        Raises:
            UnsupportedAttentionError: the layer is not a decoder's.
        """
        if attn_type != AttentionType.DECODER:
            raise UnsupportedAttentionError(f"attn_type {attn_type}: the kernels do decoders only")
        self.num_heads, self.head_size, self.scale = num_heads, head_size, float(scale)
        self.num_kv_heads, self.kv_cache_dtype = num_kv_heads, kv_cache_dtype
        self.kv_sharing_target_layer_name = kv_sharing_target_layer_name
        self.sliding_window = sliding_window or 0
        self.sinks = sinks
        self.alibi_slopes = None
        if alibi_slopes is not None:
            self.alibi_slopes = torch.tensor(alibi_slopes, dtype=torch.float32)
        self.shape = LayerShape(
            num_q_heads=num_heads,
            num_kv_heads=num_kv_heads,
            head_dim=head_size,
            scale=self.scale,
            kv_cache_dtype=kv_cache_dtype,
            sliding_window=self.sliding_window,
            soft_cap=logits_soft_cap or 0.0,
            sinks=sinks is not None,
            alibi=alibi_slopes is not None,
        )
        self._spec: AttentionSpec | None = None

    def process_weights_after_loading(self, act_dtype: torch.dtype) -> None:
        """The sinks are weights: the kernels want them in fp32."""
        del act_dtype
        if self.sinks is not None:
            self.sinks = self.sinks.detach().float().contiguous()

    def forward(
        self,
        layer: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        kv_cache: torch.Tensor,
        attn_metadata: SpillwayMetadata | None,
        output: torch.Tensor,
        output_scale: torch.Tensor | None = None,
        output_block_scale: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Attention of a step over the cache, which `do_kv_cache_update` has written before.

        Args:
            layer: vLLM's layer, for the scales of an fp8 cache.
            query: `[tokens, Hq, D]`.
            key: unused: it is in the cache.
            value: unused.
            kv_cache: `[num_blocks, Hkv, block, 2 * D]`.
            attn_metadata: of the builder; None while vLLM measures what memory a step takes.
            output: `[tokens, Hq, D]`, written in place.
            output_scale: not supported.
            output_block_scale: not supported.

        Raises:
            UnsupportedAttentionError: a quantised output is asked for, or a tensor does not fit.
        """
        del key, value
        if output_scale is not None or output_block_scale is not None:
            raise UnsupportedAttentionError("output_scale: the kernels write no quantised output")
        if attn_metadata is None:
            return output.fill_(0)
        spec = self._spec_of(query.dtype, kv_cache)
        tokens = attn_metadata.num_actual_tokens
        tensors = LayerTensors(
            query[:tokens],
            kv_cache,
            attn_metadata.block_table,
            output[:tokens],
            sinks=self.sinks,
            alibi_slopes=self.alibi_slopes,
            **scales_of(layer, spec),
        )
        attn_metadata.plans[spec].attend(tensors)
        return output

    def do_kv_cache_update(
        self,
        layer: Any,
        key: torch.Tensor,
        value: torch.Tensor,
        kv_cache: torch.Tensor,
        slot_mapping: torch.Tensor,
    ) -> None:
        """Write a step's K and V, `[tokens, Hkv, D]` each, into their slots."""
        scales = scales_of(layer, self._spec_of(key.dtype, kv_cache))
        cache_write(key, value, kv_cache, slot_mapping, **scales)

    def _spec_of(self, dtype: torch.dtype, kv_cache: torch.Tensor) -> AttentionSpec:
        """The spec that the builder planned for; it cannot change once there is a cache."""
        if self._spec is None:
            stored = torch.uint8 if self.kv_cache_dtype in FP8_DTYPES else kv_cache.dtype
            self._spec = self.shape.spec(dtype, stored, kv_cache.shape[2])
        return self._spec
