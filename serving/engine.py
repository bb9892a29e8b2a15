"""What a replica asks of an inference engine, whichever it is.

An engine takes checked values (serving.generation) and yields outputs; it knows nothing of gRPC,
Ray or protocol buffers. Two exist: serving.vllm_engine runs models, serving.fake_engine counts.
"""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

from serving.generation import Generation
from serving.identity import Identity


class EngineDeadError(Exception):
    """The engine is gone for good and its replica with it."""


class EngineOverloadedError(Exception):
    """The engine's own queue is full: the request may be tried elsewhere or later."""


@dataclass(frozen=True, slots=True)
class Parallelism:
    """How one engine is spread over devices."""

    tensor: int = 1
    pipeline: int = 1
    data: int = 1
    data_rank: int = 0
    data_local: int = 1
    decode_context: int = 1
    world: int = 1


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What is true of an engine from its start to its end."""

    version: str
    model_id: str
    served_names: Sequence[str]
    """The names a request may use; the first is the one to show."""
    attention_backend: str
    """Its name, with a version where it is this project's."""
    max_model_len: int
    """Tokens of prompt and output together."""
    vocab_size: int
    eos_token_id: int | None
    kv_block_size: int
    """Tokens per KV-cache block."""
    total_kv_blocks: int
    max_running_requests: int
    max_batched_tokens: int
    max_logprobs: int
    """Candidates that may be asked for at a position; vocab_size where there is no limit."""
    has_tokenizer: bool = True
    honours_priority: bool = True
    lora_names: Sequence[str] = ()
    """Adapters that requests may name, loaded or not."""
    max_loras: int = 0
    """Adapters that are computed together."""
    max_cpu_loras: int = 0
    """Adapters that are kept loaded."""
    parallelism: Parallelism = field(default_factory=Parallelism)
    reasoning_parser: str = ""
    tool_call_parser: str = ""
    tokenizer_folder: Path | None = None
    """Where the files of its tokenizer lie, for others to read; None where there are none."""
    identity: Identity = field(default_factory=Identity)


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """A sample of an engine's load. Totals count since the engine started."""

    running_requests: int = 0
    waiting_requests: int = 0
    queued_prefill_tokens: int = 0
    kv_usage: float = 0.0
    """Share of the KV cache in use, 0 to 1."""
    prefix_hit_tokens: int = 0
    prefix_query_tokens: int = 0
    generated_tokens: int = 0
    ttft_s: float = 0.0
    """Recent mean time to first token; 0 while nothing is known."""
    itl_s: float = 0.0
    """Recent mean inter-token latency; 0 while nothing is known."""


@dataclass(frozen=True, slots=True)
class AdapterUse:
    """The LoRA adapters that an engine has loaded and computes with."""

    loaded: Sequence[str] = ()
    """The last used last."""
    loaded_max: int = 0
    """More make the least recently used go."""
    running: Mapping[str, int] = field(default_factory=dict)
    """Requests in the engine by their adapter."""
    running_max: int = 0
    """Adapters that are computed together; requests for one more wait."""
    load_s: float = 0.0
    """Recent mean of what loading one took; 0 while none was timed."""


@dataclass(frozen=True, slots=True)
class PrefixBlocks:
    """What has changed in an engine's prefix cache, by the hashes of wire.spillway.v1.prefix."""

    reset: bool = False
    added: Sequence[int] = ()
    removed: Sequence[int] = ()


class FinishReason(Enum):
    """Why a sequence ended."""

    LENGTH = "length"
    STOP = "stop"
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of a sequence, and for STOP what stopped it; at most one of the three is set."""

    reason: FinishReason
    stop_token_id: int | None = None
    eos_token_id: int | None = None
    stop_string: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A token that could have stood at a position. Rank 1 is the likeliest, 0 is unknown."""

    token_id: int
    logprob: float
    rank: int


@dataclass(frozen=True, slots=True)
class PromptFacts:
    """What is known of a prompt once it is prefilled.

    logprobs, ranks and candidates are empty unless asked for, and otherwise as long as token_ids;
    their first entry is empty or 0, since nothing comes before the first token.
    """

    token_ids: Sequence[int]
    logprobs: Sequence[float] = ()
    ranks: Sequence[int] = ()
    candidates: Sequence[Sequence[Candidate]] = ()


@dataclass(frozen=True, slots=True)
class EngineOutput:
    """What is new in one sequence. logprobs, ranks and candidates go with token_ids, if wanted."""

    index: int
    text: str
    token_ids: Sequence[int]
    logprobs: Sequence[float] = ()
    ranks: Sequence[int] = ()
    candidates: Sequence[Sequence[Candidate]] = ()
    finish: Finish | None = None
    prompt: PromptFacts | None = None
    """In the first output of a request."""


class Engine(Protocol):
    """An inference engine in this process's event loop."""

    @property
    def info(self) -> EngineInfo:
        """What is true of the engine for as long as it lives."""
        ...

    def generate(self, generation: Generation) -> AsyncGenerator[EngineOutput, None]:
        """The outputs of one request as they come, merged where the consumer is slower.

        Closing the generator, or cancelling the task that runs it, aborts the request at once.
        Raises wire.status.CallError for what a request may not ask of this engine,
        EngineOverloadedError, and EngineDeadError.
        """
        ...

    async def abort(self, request_ids: Sequence[str]) -> None:
        """Ends requests early: their generators finish with ABORTED. Unknown ids are ignored."""
        ...

    def load(self) -> EngineLoad:
        """The load as of the engine's latest step. Cheap: it is asked for at every step."""
        ...

    def adapters(self) -> AdapterUse:
        """The adapters as of now."""
        ...

    def itl_s_p95(self) -> float:
        """95th percentile of the inter-token latencies of the last second or so; 0 for none."""
        ...

    def on_load(self, listener: Callable[[], None]) -> None:
        """Calls listener after every step and at every change of what is queued."""
        ...

    def on_prefix_change(self, listener: Callable[[PrefixBlocks], None]) -> bool:
        """Calls listener with each change of the prefix cache. False if the engine cannot tell."""
        ...

    def check(self) -> None:
        """Raises EngineDeadError where the engine has died."""
        ...

    async def shutdown(self) -> None:
        """Ends the engine and what it started; in-flight requests fail."""
        ...
