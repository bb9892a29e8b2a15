"""Turns vLLM's metadata of a step into plans, once for all layers of a group."""

import os
from typing import Any, ClassVar

import torch
from vllm import envs
from vllm.config import VllmConfig, get_layers_from_vllm_config
from vllm.model_executor.layers.attention_layer_base import AttentionLayerBase
from vllm.v1.attention.backend import (
    AttentionCGSupport,
    AttentionMetadataBuilder,
    CommonAttentionMetadata,
    max_decode_query_len,
)

from kernels.mixed import StepShape
from kernels.spec import AttentionSpec, UnsupportedAttentionError
from kernels.vllm_backend.plugin import SHARED_PREFIX
from kernels.vllm_backend.step import EngineLimits, Planner, SpillwayMetadata


class SpillwayMetadataBuilder(AttentionMetadataBuilder[SpillwayMetadata]):
    """See vLLM's class for what the methods are asked.

    Rows need no order, so the batch is not sorted. A captured graph of decode rows finds its plan
    where it was: `build` plans each step into the same memory before vLLM replays the graph.
    """

    _cudagraph_support: ClassVar[AttentionCGSupport] = AttentionCGSupport.UNIFORM_BATCH
    reorder_batch_threshold: int | None = None

    def __init__(
        self,
        kv_cache_spec: Any,
        layer_names: list[str],
        vllm_config: VllmConfig,
        device: torch.device,
    ) -> None:
        super().__init__(kv_cache_spec, layer_names, vllm_config, device)
        layers = get_layers_from_vllm_config(vllm_config, AttentionLayerBase, layer_names)
        dtype = vllm_config.model_config.dtype
        specs: set[AttentionSpec] = {
            layer.impl.shape.spec(dtype, kv_cache_spec.dtype, kv_cache_spec.block_size)
            for layer in layers.values()
        }
        limits = EngineLimits(
            max_rows=vllm_config.scheduler_config.max_num_seqs,
            max_decode_query_len=max_decode_query_len(vllm_config),
            max_seq_len=vllm_config.model_config.max_model_len,
            batch_invariant=envs.VLLM_BATCH_INVARIANT,
            share_prefixes=os.environ.get(SHARED_PREFIX) == "1",
        )
        self._planners = {spec: Planner(spec, limits, device) for spec in specs}

    @classmethod
    def get_cudagraph_support(
        cls, vllm_config: VllmConfig, kv_cache_spec: Any
    ) -> AttentionCGSupport:
        """Full graphs of decode rows; none in batch-invariant mode, which plans prompts alone."""
        if envs.VLLM_BATCH_INVARIANT:
            return AttentionCGSupport.NEVER
        return super().get_cudagraph_support(vllm_config, kv_cache_spec)

    @classmethod
    def get_varlen_cudagraph_max_query_len(
        cls, vllm_config: VllmConfig, kv_cache_spec: Any
    ) -> int | None:
        """Decode rows of a graph may differ in length up to this."""
        del kv_cache_spec
        return None if envs.VLLM_BATCH_INVARIANT else max_decode_query_len(vllm_config)

    def build(
        self,
        common_prefix_len: int,
        common_attn_metadata: CommonAttentionMetadata,
        fast_build: bool = False,
    ) -> SpillwayMetadata:
        """Plan one step on the device, reading only what the host has.

        Raises:
            UnsupportedAttentionError: the step is not causal.
        """
        del common_prefix_len, fast_build
        step = common_attn_metadata
        if step.causal is not True:
            raise UnsupportedAttentionError(f"causal is {step.causal}: the kernels do causal only")
        rows = step.num_reqs
        query_lens = step.query_start_loc_cpu[: rows + 1].diff()
        real = query_lens[query_lens > 0]
        shape = StepShape(
            tokens=step.num_actual_tokens,
            rows=rows,
            min_query_len=int(real.min()) if len(real) else 1,
            max_query_len=step.max_query_len,
            max_seq_len=step.max_seq_len,
        )
        seq_lens, starts = step.seq_lens[:rows], step.query_start_loc[: rows + 1]
        return SpillwayMetadata(
            num_actual_tokens=step.num_actual_tokens,
            block_table=step.block_table_tensor,
            plans={
                spec: planner.plan(step.block_table_tensor, seq_lens, starts, shape)
                for spec, planner in self._planners.items()
            },
        )

    def build_for_cudagraph_capture(
        self, common_attn_metadata: CommonAttentionMetadata
    ) -> SpillwayMetadata:
        """Plan rows of one token, so that capturing does not read whole contexts."""
        common_attn_metadata.seq_lens.fill_(1)
        return self.build(0, common_attn_metadata)
