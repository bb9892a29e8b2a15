"""Who a vLLM engine is, by its configuration and the files it has loaded."""

import importlib.metadata
import os
from pathlib import Path
from typing import Any

from serving.identity import (
    Identity,
    adapter_digest,
    settings_digest,
    tokenizer_digest,
    weights_digest,
)
from serving.settings import ReplicaSettings


def read_identity(
    config: Any, settings: ReplicaSettings, engine_version: str, device: str
) -> Identity:
    """The identity of an engine of this version and configuration on devices of this name.

    It reads files: call it beside the event loop.
    """
    model = config.model_config
    return Identity(
        weights_digest=weights_digest(
            folder_of(model.model, model.revision),
            {
                "sampling": model.get_diff_sampling_param(),
                "overrides": model.hf_overrides,
                "logits_processors": model.logits_processors,
                "logprobs_mode": model.logprobs_mode,
            },
        ),
        tokenizer_digest=tokenizer_digest(folder_of(model.tokenizer, model.tokenizer_revision)),
        numerics_digest=settings_digest(
            {
                **_numerics(config, engine_version, device),
                "shared_prefix": settings.vllm.shared_prefix,
            }
        ),
        adapters={name: _digest_of(Path(place)) for name, place in settings.vllm.loras.items()},
    )


def _digest_of(adapter: Path) -> str:
    """Its digest; empty where it cannot be read, which is found out when it is loaded."""
    try:
        return adapter_digest(adapter)
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _numerics(config: Any, engine_version: str, device: str) -> dict[str, object]:
    """What may change how an engine rounds; more than does is safe, less is not."""
    model, parallel, cache = config.model_config, config.parallel_config, config.cache_config
    return {
        "vllm": engine_version,
        "torch": importlib.metadata.version("torch"),
        "device": device,
        "dtype": model.dtype,
        "quantization": model.quantization,
        "attention": config.attention_config.backend,
        "cache_dtype": cache.cache_dtype,
        "block_size": cache.block_size,
        "parallel": (
            parallel.tensor_parallel_size,
            parallel.pipeline_parallel_size,
            parallel.decode_context_parallel_size,
            parallel.enable_expert_parallel,
        ),
        # How a prompt is cut into steps.
        "step_tokens": config.scheduler_config.max_num_batched_tokens,
        "enforce_eager": model.enforce_eager,
        "speculative": config.speculative_config is not None,
        "batch_invariant": os.environ.get("VLLM_BATCH_INVARIANT", "0"),
    }


def folder_of(model: str, revision: str | None) -> Path:
    """Where the files of a model or a tokenizer lie that has been loaded."""
    if Path(model).is_dir():
        return Path(model)
    # One of vLLM's own dependencies, which starts without it where every model is local.
    from huggingface_hub import snapshot_download  # noqa: PLC0415

    try:
        return Path(snapshot_download(model, revision=revision, local_files_only=True))
    except (OSError, ValueError):  # it came from elsewhere: then it has no digest
        return Path(model)
