"""Starts vLLM as a site's settings say, and reads what became of them."""

import dataclasses
import importlib.metadata
import os
from typing import Any

import torch
from vllm.config.kv_events import KVEventsConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.platforms import current_platform
from vllm.plugins import load_general_plugins
from vllm.v1.attention.backends.registry import AttentionBackendEnum
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.metrics.loggers import StatLoggerBase

from serving.engine import EngineInfo, Parallelism
from serving.engine_arguments import (
    SPILLWAY_ATTENTION,
    attention_name,
    engine_arguments,
    engine_version,
    prepare_cpu_environment,
)
from serving.kv_event_stream import KvEventStream
from serving.load_tally import LoadTally, Step
from serving.settings import ReplicaSettings, SettingsError
from serving.vllm_identity import folder_of, read_identity


def load(settings: ReplicaSettings, tally: LoadTally, events: KvEventStream) -> AsyncLLM:
    """A vLLM that is ready, whose steps and cache events are told. Raises SettingsError."""
    known = {field.name for field in dataclasses.fields(AsyncEngineArgs)}
    if current_platform.is_cpu():
        prepare_cpu_environment(settings, os.environ)
    arguments = engine_arguments(
        settings, known, on_cpu=current_platform.is_cpu(), environment=os.environ
    )
    if settings.vllm.attention_backend == SPILLWAY_ATTENTION:
        _require_own_attention()

    class StepLogger(StatLoggerBase):
        """Hands each step of the engine to the tally."""

        def __init__(self, vllm_config: Any, engine_index: int = 0) -> None:
            """VLLM makes one for each engine of a data-parallel group."""

        def record(
            self,
            scheduler_stats: Any,
            iteration_stats: Any,
            **_: Any,
        ) -> None:
            """One step; either part may be missing."""
            if scheduler_stats is not None:
                tally.stepped(_step(scheduler_stats, iteration_stats))

        def log_engine_initialized(self) -> None:
            """The start is logged elsewhere."""

    try:
        config = AsyncEngineArgs(**arguments)
        # A site that configures these events itself has somebody else who listens.
        if config.enable_prefix_caching and config.kv_events_config is None:
            config.kv_events_config = KVEventsConfig(**events.publisher())
        return AsyncLLM.from_engine_args(config, stat_loggers=[StepLogger])
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        raise SettingsError(f"vLLM does not start {settings.model}: {error}") from error


def _require_own_attention() -> None:
    """The kernels register themselves in vLLM as a plugin; nothing here imports them."""
    load_general_plugins()
    backend = (
        AttentionBackendEnum.CPU_ATTN if current_platform.is_cpu() else AttentionBackendEnum.CUSTOM
    )
    if not backend.is_overridden():
        raise SettingsError(
            "vllm.attention_backend: spillway is not registered with vLLM; install spillway with "
            "its kernels"
        )


def read_info(config: Any, settings: ReplicaSettings) -> EngineInfo:
    """What is true of an engine that has started, by its vLLM configuration.

    It reads files: call it beside the event loop.
    """
    model, cache, scheduler = config.model_config, config.cache_config, config.scheduler_config
    parallel = config.parallel_config
    vocab_size = model.get_vocab_size()
    backend = config.attention_config.backend
    if settings.vllm.attention_backend == SPILLWAY_ATTENTION:
        attention = SPILLWAY_ATTENTION
    elif backend is not None:
        attention = backend.name
    else:
        attention = "CPU_ATTN" if current_platform.is_cpu() else "default"
    version = engine_version(importlib.metadata.version(_distribution()), attention)
    return EngineInfo(
        version=version,
        model_id=settings.model,
        served_names=settings.names,
        attention_backend=attention_name(attention),
        max_model_len=model.max_model_len,
        vocab_size=vocab_size,
        eos_token_id=_eos_token_id(model.hf_text_config),
        kv_block_size=cache.block_size,
        total_kv_blocks=cache.num_gpu_blocks or 0,
        max_running_requests=scheduler.max_num_seqs,
        max_batched_tokens=scheduler.max_num_batched_tokens,
        max_logprobs=vocab_size if model.max_logprobs == -1 else model.max_logprobs,
        has_tokenizer=not model.skip_tokenizer_init,
        honours_priority=scheduler.policy == "priority",
        lora_names=tuple(settings.vllm.loras),
        max_loras=config.lora_config.max_loras if config.lora_config else 0,
        max_cpu_loras=(config.lora_config.max_cpu_loras or 0) if config.lora_config else 0,
        parallelism=Parallelism(
            tensor=parallel.tensor_parallel_size,
            pipeline=parallel.pipeline_parallel_size,
            data=parallel.data_parallel_size,
            data_rank=parallel.data_parallel_rank,
            data_local=parallel.data_parallel_size_local,
            decode_context=parallel.decode_context_parallel_size,
            world=parallel.world_size,
        ),
        reasoning_parser=config.structured_outputs_config.reasoning_parser or "",
        tokenizer_folder=folder_of(model.tokenizer, model.tokenizer_revision),
        identity=read_identity(config, settings, version, _device()),
    )


def _device() -> str:
    """What computes: the name of the accelerator, or `cpu` and its widest instructions."""
    if current_platform.is_cpu():
        return f"cpu {torch.backends.cpu.get_cpu_capability()}"
    name: str = current_platform.get_device_name()
    return name


def _distribution() -> str:
    """The CPU build goes by another name."""
    return next(iter(importlib.metadata.packages_distributions()["vllm"]))


def _eos_token_id(hf_config: Any) -> int | None:
    eos: int | list[int] | None = hf_config.eos_token_id
    return eos[0] if isinstance(eos, list) else eos


def _step(scheduler: Any, iteration: Any) -> Step:
    """VLLM's statistics of one step, iteration being None for a step without output."""
    prefix = scheduler.prefix_cache_stats
    return Step(
        running_requests=scheduler.num_running_reqs,
        kv_usage=scheduler.kv_cache_usage,
        prefix_hit_tokens=prefix.hits if prefix else 0,
        prefix_query_tokens=prefix.queries if prefix else 0,
        generated_tokens=iteration.num_generation_tokens if iteration else 0,
        ttfts_s=iteration.time_to_first_tokens_iter if iteration else (),
        itls_s=iteration.inter_token_latencies_iter if iteration else (),
    )
