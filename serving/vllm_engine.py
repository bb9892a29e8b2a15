"""The engine that runs models: one vLLM AsyncLLM. The only file here that imports vLLM.

Importing it takes seconds and a GB, and vLLM reads its environment on the way: serving.engines does
it when an engine is to start.
"""

import asyncio
import dataclasses
import importlib.metadata
import os
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import Any, Self

import grpc
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.exceptions import (
    GracefulHTTPError,
    MaxQueuedTokensError,
    QueueOverflowError,
    VLLMClientError,
)
from vllm.lora.request import LoRARequest
from vllm.platforms import current_platform
from vllm.plugins import load_general_plugins
from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams
from vllm.v1.attention.backends.registry import AttentionBackendEnum
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError as VllmEngineDeadError
from vllm.v1.engine.exceptions import EngineGenerateError
from vllm.v1.metrics.loggers import StatLoggerBase

from serving.engine import (
    EngineDeadError,
    EngineInfo,
    EngineLoad,
    EngineOutput,
    EngineOverloadedError,
    Parallelism,
    PrefixBlocks,
)
from serving.engine_arguments import (
    SPILLWAY_ATTENTION,
    engine_arguments,
    prepare_cpu_environment,
)
from serving.generation import Generation, Structure, StructureKind
from serving.load_tally import LoadTally, Step
from serving.request import fit_to_context, read_request, truncated
from serving.settings import ReplicaSettings, SettingsError
from serving.status import CallError, bad_field
from serving.vllm_outputs import OutputReader
from wire.vllm import inference_pb2 as pb

SHUTDOWN_S = 5.0
"""How long the engine's process may take to end before it is killed."""

WARM_UP_TOKENS = 64
"""Enough for matrix products of the kind that prompts bring, which initialise their libraries."""


class VllmEngine:
    """See serving.engine.Engine for what the methods promise."""

    def __init__(self, llm: AsyncLLM, tally: LoadTally, settings: ReplicaSettings) -> None:
        self._llm = llm
        self._tally = tally
        self._info = _info(llm.vllm_config, settings)
        self._defaults: dict[str, Any] = llm.model_config.get_diff_sampling_param()
        self._loras = {
            name: LoRARequest(name, number, path)
            for number, (name, path) in enumerate(settings.vllm.loras.items(), start=1)
        }

    @classmethod
    async def start(cls, settings: ReplicaSettings) -> Self:
        """Loads the model and waits until it can be used. Raises SettingsError."""
        tally = LoadTally()
        # In a thread: it takes from seconds to minutes, in which the event loop answers others.
        llm = await asyncio.to_thread(_load, settings, tally)
        engine = cls(llm, tally, settings)
        await engine._warm_up()
        return engine

    @property
    def info(self) -> EngineInfo:
        """Read from the engine's configuration once it had started."""
        return self._info

    async def generate(self, generation: Generation) -> AsyncGenerator[EngineOutput, None]:
        """Deltas, which vLLM merges where the consumer is slower."""
        self.check()
        request_id = generation.request_id
        with _translated_errors(generation):
            token_ids = await self._tokenize(generation)
            limit = fit_to_context(generation, len(token_ids), self._info)
            params = _sampling_params(generation, limit, self._defaults)
        prompt = {"type": "token", "prompt_token_ids": list(token_ids)}
        if generation.cache_salt:
            prompt["cache_salt"] = generation.cache_salt
        reader = OutputReader(generation, self._info.eos_token_id)
        self._tally.arrived(request_id, len(token_ids), generation.sampling.num_sequences)
        try:
            outputs = self._llm.generate(
                prompt,
                params,
                request_id,
                lora_request=self._loras.get(generation.lora_name),
                priority=generation.priority,
                session_id=generation.session_id or None,
            )
            with _translated_errors(generation):
                async with aclosing(outputs):
                    async for output in outputs:
                        for part in reader.read(output):
                            self._count(request_id, part)
                            yield part
        finally:
            self._tally.ended(request_id)

    async def abort(self, request_ids: Sequence[str]) -> None:
        """VLLM then puts out a last output for each."""
        await self._llm.abort(request_ids)

    def load(self) -> EngineLoad:
        """What the scheduler reported at its latest step, and what has come and gone since."""
        return self._tally.load()

    def on_load(self, listener: Callable[[], None]) -> None:
        """Fed by vLLM's stat logger interface, in this process."""
        self._tally.on_change(listener)

    def on_prefix_change(self, _listener: Callable[[PrefixBlocks], None]) -> bool:
        """Not told by this engine."""
        return False

    def check(self) -> None:
        """VLLM watches its own processes."""
        if self._llm.errored:
            raise EngineDeadError

    async def shutdown(self) -> None:
        """Ends the engine's process."""
        await asyncio.to_thread(self._llm.shutdown, SHUTDOWN_S)

    async def _warm_up(self) -> None:
        """The first request of an engine takes seconds: no client should be the one to wait."""
        length = min(WARM_UP_TOKENS, self._info.max_model_len - 1)
        prompt = pb.GenerateRequest(token_ids=pb.TokenIds(ids=[0] * length))
        async for _ in self.generate(read_request(prompt, self._info, session_id="")):
            pass
        await self._llm.reset_prefix_cache()
        self._tally.forget_totals()

    async def _tokenize(self, generation: Generation) -> Sequence[int]:
        """The prompt's tokens. Long texts are refused before all of them is tokenized."""
        if not isinstance(generation.prompt, str):
            return generation.prompt
        renderer = self._llm.renderer
        how = renderer.default_cmpl_tok_params
        if 0 < generation.truncate_prompt_tokens < self._info.max_model_len:
            how = how.with_kwargs(
                truncate_prompt_tokens=generation.truncate_prompt_tokens, truncation_side="left"
            )
        (prompt,) = await renderer.tokenize_prompts_async([{"prompt": generation.prompt}], how)
        return truncated(generation, prompt["prompt_token_ids"])

    def _count(self, request_id: str, part: EngineOutput) -> None:
        if part.prompt is not None:
            self._tally.prefilled(request_id)
        if part.finish is not None:
            self._tally.sequence_ended(request_id)


def _load(settings: ReplicaSettings, tally: LoadTally) -> AsyncLLM:
    known = {field.name for field in dataclasses.fields(AsyncEngineArgs)}
    if current_platform.is_cpu():
        prepare_cpu_environment(settings, os.environ)
    arguments = engine_arguments(settings, known, on_cpu=current_platform.is_cpu())
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
        return AsyncLLM.from_engine_args(config, stat_loggers=[StepLogger])
    except (ValueError, TypeError, OSError) as error:
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


def _info(config: Any, settings: ReplicaSettings) -> EngineInfo:
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
    return EngineInfo(
        version=importlib.metadata.version(_distribution()),
        model_id=settings.model,
        served_names=settings.names,
        attention_backend=attention,
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
    )


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


def _sampling_params(
    generation: Generation, limit: int, defaults: dict[str, Any]
) -> SamplingParams:
    sampling, decoding = generation.sampling, generation.decoding
    stopping, wanted = generation.stopping, generation.wanted
    chosen = {
        "temperature": sampling.temperature,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "min_p": sampling.min_p,
        "repetition_penalty": decoding.repetition_penalty,
        "presence_penalty": decoding.presence_penalty or None,
        "frequency_penalty": decoding.frequency_penalty or None,
    }
    numbers = {k: v for k, v in defaults.items() if k in chosen}
    numbers |= {name: value for name, value in chosen.items() if value is not None}
    candidates, prompt_candidates = wanted.output_candidates, wanted.prompt_candidates
    logprobs = prompt_logprobs = None
    if candidates is not None and not candidates.token_ids:
        logprobs = -1 if candidates.all else candidates.top_n
    elif wanted.output_logprobs and candidates is None:
        logprobs = 0
    if prompt_candidates is not None:
        prompt_logprobs = -1 if prompt_candidates.all else prompt_candidates.top_n
    elif wanted.prompt_logprobs:
        prompt_logprobs = 0
    return SamplingParams(
        **numbers,
        n=sampling.num_sequences,
        # vLLM takes -1 for no seed; any int64 is one here.
        seed=None if sampling.seed is None else sampling.seed % 2**63,
        logit_bias=dict(decoding.logit_bias) or None,
        allowed_token_ids=list(decoding.allowed_token_ids) or None,
        structured_outputs=_structured_outputs(decoding.structure),
        max_tokens=limit,
        min_tokens=stopping.min_new_tokens,
        stop_token_ids=list(stopping.stop_token_ids),
        stop=list(stopping.stop_strings),
        include_stop_str_in_output=stopping.include_stop_strings,
        ignore_eos=stopping.ignore_eos,
        logprobs=logprobs,
        prompt_logprobs=prompt_logprobs,
        logprob_token_ids=list(candidates.token_ids) or None if candidates else None,
        # Stop strings are looked for in the text, wanted or not.
        detokenize=wanted.output_text or bool(stopping.stop_strings),
        skip_special_tokens=wanted.skip_special_tokens,
        # None leaves it to vLLM, which does not read the cache where prompt scores are wanted.
        skip_reading_prefix_cache=generation.bypass_prefix_cache or None,
        output_kind=RequestOutputKind.DELTA,
    )


def _structured_outputs(structure: Structure | None) -> StructuredOutputsParams | None:
    if structure is None:
        return None
    value: object = structure.text
    if structure.kind is StructureKind.CHOICE:
        value = list(structure.choices)
    elif structure.kind is StructureKind.JSON_OBJECT:
        value = True
    return StructuredOutputsParams(**{structure.kind.value: value})


# vLLM's names of what it may refuse, and where that stands in a request.
_FIELDS = {
    "input_text": "text",
    "input_tokens": "text",
    "temperature": "temperature",
    "top_p": "sampling.top_p",
    "logprobs": "response.output_candidates",
    "prompt_logprobs": "response.prompt_candidates",
    "logprob_token_ids": "response.output_candidates.token_ids",
    "logit_bias": "decoding.logit_bias",
    "allowed_token_ids": "decoding.allowed_token_ids",
    "stop_token_ids": "stopping.stop_token_ids",
    "max_tokens": "stopping.max_new_tokens",
}


@contextmanager
def _translated_errors(generation: Generation) -> Iterator[None]:
    """VLLM's errors as those that serving.engine promises."""
    try:
        yield
    except VllmEngineDeadError as error:
        raise EngineDeadError from error
    except (QueueOverflowError, MaxQueuedTokensError) as error:
        raise EngineOverloadedError("the engine's queue is full") from error
    except (VLLMClientError, GracefulHTTPError) as error:
        raise _refusal(generation, error) from error
    except EngineGenerateError as error:
        # What a library that vLLM asks, such as a grammar compiler, says of the request.
        if isinstance(error.__cause__, ValueError):
            raise _refusal(generation, error.__cause__) from error
        raise CallError(grpc.StatusCode.INTERNAL, "the engine failed at this request") from error


def _refusal(generation: Generation, error: Exception) -> CallError:
    parameter = getattr(error, "parameter", None)
    structure = generation.decoding.structure
    field = _FIELDS.get(str(parameter))
    if field is None:
        field = f"decoding.{structure.kind.value}" if structure else "request"
    return bad_field(field, str(error))
