"""The engine that runs models: one vLLM AsyncLLM.

Of all files here, only this one and its vllm_ neighbours import vLLM. That takes seconds and a GB,
and reads the environment on the way: serving.engines does it when an engine is to start.
"""

import asyncio
import multiprocessing
import os
import tempfile
from collections.abc import (
    AsyncGenerator,
    Callable,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack, aclosing, contextmanager
from dataclasses import replace
from typing import Any, Self

import grpc
from vllm.exceptions import (
    GracefulHTTPError,
    MaxQueuedTokensError,
    QueueOverflowError,
    VLLMClientError,
)
from vllm.outputs import RequestOutput
from vllm.sampling_params import SamplingParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError as VllmEngineDeadError
from vllm.v1.engine.exceptions import EngineGenerateError

from serving.adapter_folder import with_adapters
from serving.engine import (
    AdapterUse,
    EngineDeadError,
    EngineInfo,
    EngineLoad,
    EngineOutput,
    EngineOverloadedError,
    Finish,
    FinishReason,
    PrefixBlocks,
)
from serving.engine_arguments import (
    FOLDER_PREFIX,
    SCHEDULER,
    WORKER_EXTENSION,
    prepare_sockets,
)
from serving.generation import Generation
from serving.guard import Guard
from serving.kv_event_stream import KvEventStream
from serving.load_tally import LoadTally
from serving.request import fit_to_context, read_request, truncated
from serving.settings import ReplicaSettings
from serving.vllm_adapters import VllmAdapters
from serving.vllm_alive import while_alive
from serving.vllm_outputs import OutputReader
from serving.vllm_sampling import (
    as_output,
    as_prompt,
    default_sampling,
    sampling_params,
    tokens_only,
)
from serving.vllm_start import load, read_info
from serving.vllm_text import SeamText
from wire.status import CallError, bad_field, failure
from wire.vllm import inference_pb2 as pb

SHUTDOWN_S = 5.0
"""How long the engine's process may take to end before it is killed."""

GUARD_PERIOD_S = 0.5
"""How soon a process that vLLM starts is guarded, and how late its death may be noticed."""

ABORTED = Finish(FinishReason.ABORTED)
"""The end of a request that was asked for."""

RESTORED_HERE = ("stop_strings", "text")
"""What a stream that goes on gets from serving.vllm_text, however vLLM is set up."""

WARM_UP_TOKENS = 64
"""Enough for matrix products of the kind that prompts bring, which initialise their libraries."""


class VllmEngine:
    """See serving.engine.Engine for what the methods promise."""

    def __init__(
        self,
        llm: AsyncLLM,
        tally: LoadTally,
        events: KvEventStream,
        guard: Guard,
        info: EngineInfo,
        restored: Collection[str],
        settings: ReplicaSettings,
    ) -> None:
        self._llm = llm
        self._tally = tally
        self._events = events
        self._guard = guard
        identity = replace(info.identity, restores=tuple(sorted({*restored, *RESTORED_HERE})))
        self._info = replace(info, identity=identity)
        self._takes_output = bool(restored)
        self._traces = llm.observability_config.otlp_traces_endpoint is not None
        self._in_flight: set[str] = set()
        self._aborted: set[str] = set()
        """Requests in flight whose end was asked for."""
        self._defaults = default_sampling(llm.model_config)
        self._adapters = VllmAdapters(llm, self._info, settings.vllm.loras)

    @classmethod
    async def start(cls, settings: ReplicaSettings) -> Self:
        """Loads the model and waits until it can be used.

        Raises SettingsError, and EngineDeadError where the engine's process dies meanwhile.
        """
        settings = await asyncio.to_thread(with_adapters, settings)
        folder = tempfile.mkdtemp(prefix=FOLDER_PREFIX)
        tally, events, guard = LoadTally(), KvEventStream(folder), Guard()
        guard.remove(folder)
        prepare_sockets(folder, os.environ)
        try:
            # In a thread: it takes from seconds to minutes, and the event loop answers others.
            loading = asyncio.create_task(asyncio.to_thread(load, settings, tally, events))
            while not loading.done():
                await asyncio.wait({loading}, timeout=GUARD_PERIOD_S)
                for process in multiprocessing.active_children():
                    guard.watch(process.pid or 0)
            llm = await loading
        except BaseException:
            guard.close()
            raise
        try:
            info = await asyncio.to_thread(read_info, llm.vllm_config, settings)
            restored = await while_alive(llm, _restored_by(llm))
            engine = cls(llm, tally, events, guard, info, restored, settings)
        except BaseException:
            await asyncio.to_thread(llm.shutdown, SHUTDOWN_S)
            guard.close()
            raise
        try:
            events.start(engine.info.total_kv_blocks)
            await while_alive(llm, engine._warm_up())
        except BaseException:
            await engine.shutdown()
            raise
        return engine

    @property
    def info(self) -> EngineInfo:
        """Read from the engine's configuration once it had started."""
        return self._info

    async def generate(self, generation: Generation) -> AsyncGenerator[EngineOutput, None]:
        """Deltas, which vLLM merges where the consumer is slower."""
        self.check()
        request_id = generation.request_id
        self._in_flight.add(request_id)
        try:
            async with aclosing(self._outputs(generation)) as outputs:
                async for output in outputs:
                    if output.finish == ABORTED and request_id not in self._aborted:
                        # Nobody asked for it: vLLM was told to stop. It may go on elsewhere.
                        raise EngineDeadError
                    yield output
        finally:
            self._in_flight.discard(request_id)
            self._aborted.discard(request_id)

    async def abort(self, request_ids: Sequence[str]) -> None:
        """VLLM then puts out a last output for each; what it has not got yet never reaches it."""
        self._aborted.update(self._in_flight.intersection(request_ids))
        await self._llm.abort(request_ids)

    def load(self) -> EngineLoad:
        """What the scheduler reported at its latest step, and what has come and gone since."""
        return self._tally.load()

    def adapters(self) -> AdapterUse:
        """As vLLM said when it had loaded the last one, and as they were used since."""
        return self._adapters.shelf.use

    def itl_s_p95(self) -> float:
        """By the tokens of its steps."""
        return self._tally.itl_s_p95()

    def on_load(self, listener: Callable[[], None]) -> None:
        """Fed by vLLM's stat logger interface, in this process."""
        self._tally.on_change(listener)

    def on_prefix_change(self, listener: Callable[[PrefixBlocks], None]) -> bool:
        """Fed by vLLM's cache events, from its process."""
        return self._events.on_change(listener)

    def check(self) -> None:
        """VLLM watches its own processes."""
        if self._llm.errored:
            raise EngineDeadError

    async def shutdown(self) -> None:
        """Ends the engine's process, then what is left of it and its sockets."""
        async with AsyncExitStack() as last_first:
            last_first.push_async_callback(asyncio.to_thread, self._guard.close)
            if self._traces:
                last_first.push_async_callback(asyncio.to_thread, _end_tracing)
            last_first.push_async_callback(asyncio.to_thread, self._llm.shutdown, SHUTDOWN_S)
            last_first.push_async_callback(self._events.stop)

    async def _outputs(self, generation: Generation) -> AsyncGenerator[EngineOutput, None]:
        """What vLLM puts out for a request, with its text."""
        request_id, text = generation.request_id, None
        with _translated_errors(generation):
            prompt = list(await self._tokenize(generation))
            limit = fit_to_context(generation, len(prompt), self._info)
            params = sampling_params(generation, limit, self._defaults)
            tokens = len(prompt) + len(generation.delivered)
            if generation.delivered:
                text = await asyncio.to_thread(
                    SeamText, self._llm.tokenizer, generation, prompt, params
                )
                prompt, params = self._resumed(generation, prompt, params)
        if request_id in self._aborted:
            yield EngineOutput(0, "", (), finish=ABORTED)
            return
        reader = OutputReader(generation, self._info.eos_token_id)
        self._tally.arrived(request_id, tokens, generation.sampling.num_sequences)
        try:
            async with self._adapters.shelf.taken(generation.lora_name):
                if request_id in self._aborted:
                    yield EngineOutput(0, "", (), finish=ABORTED)
                    return
                outputs = self._submit(generation, prompt, params)
                with _translated_errors(generation):
                    async with aclosing(outputs):
                        async for output in outputs:
                            for part in reader.read(output):
                                whole = text.read(part) if text else part
                                self._count(generation, whole)
                                yield whole
                                if text and whole.finish:
                                    return  # at a stop string that the engine does not know
        finally:
            self._tally.ended(request_id)

    def _submit(
        self, generation: Generation, prompt: list[int], params: SamplingParams
    ) -> AsyncGenerator[RequestOutput, None]:
        """Gives vLLM a request whose adapter is loaded."""
        outputs: AsyncGenerator[RequestOutput, None] = self._llm.generate(
            _engine_prompt(prompt, generation),
            params,
            generation.request_id,
            lora_request=self._adapters.request(generation.lora_name),
            priority=generation.priority,
            session_id=generation.session_id or None,
            trace_headers=self._trace_headers(generation),
        )
        return outputs

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

    def _resumed(
        self, generation: Generation, prompt: list[int], params: SamplingParams
    ) -> tuple[list[int], SamplingParams]:
        """What to ask of vLLM for tokens after the prompt and what was delivered."""
        params, delivered = tokens_only(params), generation.delivered
        if self._takes_output:
            return prompt, as_output(params, delivered)
        return [*prompt, *delivered], as_prompt(params, delivered)

    def _trace_headers(self, generation: Generation) -> Mapping[str, str] | None:
        """What puts vLLM's own span below the one of this request, where vLLM reports any."""
        context = generation.trace if self._traces else None
        return None if context is None else {key: str(said) for key, said in context.metadata}

    def _count(self, generation: Generation, part: EngineOutput) -> None:
        if part.prompt is not None:
            self._tally.prefilled(generation.request_id)
            self._adapters.shelf.used(generation.lora_name)
        if part.finish is not None:
            self._tally.sequence_ended(generation.request_id)


def _end_tracing() -> None:
    """VLLM would have the end of the process wait for a collector that is away."""
    from wire.tracing.otel import close_process  # noqa: PLC0415 - only where vLLM has its SDK

    close_process()


def _engine_prompt(token_ids: list[int], generation: Generation) -> dict[str, Any]:
    """A prompt as vLLM takes it."""
    prompt: dict[str, Any] = {"type": "token", "prompt_token_ids": token_ids}
    if generation.cache_salt:
        prompt["cache_salt"] = generation.cache_salt
    return prompt


async def _restored_by(llm: AsyncLLM) -> set[str]:
    """What every worker of an engine restores of a stream that goes on, by Identity's names."""
    config = llm.vllm_config
    if (
        config.scheduler_config.scheduler_cls != SCHEDULER
        or config.parallel_config.worker_extension_cls != WORKER_EXTENSION
    ):
        # The site has a scheduler or an extension of its own, which knows nothing of it.
        return set()
    return set.intersection(*map(set, await llm.collective_rpc("restore_delivered")))


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
        raise failure(grpc.StatusCode.INTERNAL, "the engine failed at this request") from error


def _refusal(generation: Generation, error: Exception) -> CallError:
    parameter = getattr(error, "parameter", None)
    structure = generation.decoding.structure
    field = _FIELDS.get(str(parameter))
    if field is None:
        field = f"decoding.{structure.kind.value}" if structure else "request"
    return bad_field(field, str(error))
