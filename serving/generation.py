"""What a client asks an engine to generate: plain values, already checked.

serving.request makes them from a vllm.GenerateRequest. Where the wire lets 0 or absence mean "the
model's default", the value here is None, so that an engine never has to guess what was meant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from wire.tracing.context import TraceContext

DEFAULT_MAX_NEW_TOKENS = 20
"""Tokens to generate where a request names no limit (the wire contract's number)."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn. None means the model's default."""

    temperature: float | None
    top_k: int | None
    top_p: float | None
    min_p: float | None
    seed: int | None
    num_sequences: int


class StructureKind(Enum):
    """The languages in which a request may prescribe the shape of the answer."""

    JSON = "json"
    REGEX = "regex"
    CHOICE = "choice"
    GRAMMAR = "grammar"
    JSON_OBJECT = "json_object"
    STRUCTURAL_TAG = "structural_tag"


@dataclass(frozen=True, slots=True)
class Structure:
    """A prescribed shape: a schema, an expression or a grammar as text, or a list of choices."""

    kind: StructureKind
    text: str = ""
    choices: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Decoding:
    """What bends the odds of tokens before one is drawn. None means the model's default."""

    presence_penalty: float
    frequency_penalty: float
    repetition_penalty: float | None
    logit_bias: Mapping[int, float]
    allowed_token_ids: Sequence[int]
    structure: Structure | None


@dataclass(frozen=True, slots=True)
class Stopping:
    """When an answer ends. max_new_tokens None means DEFAULT_MAX_NEW_TOKENS, or what fits."""

    max_new_tokens: int | None
    min_new_tokens: int
    stop_token_ids: Sequence[int]
    stop_strings: Sequence[str]
    include_stop_strings: bool
    ignore_eos: bool


@dataclass(frozen=True, slots=True)
class Candidates:
    """Which tokens to score at a position: the top_n likeliest, those listed, or all."""

    top_n: int = 0
    token_ids: Sequence[int] = ()
    all: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the response shall contain."""

    prompt_token_ids: bool
    prompt_logprobs: bool
    prompt_candidates: Candidates | None
    output_text: bool
    output_token_ids: bool
    output_logprobs: bool
    output_candidates: Candidates | None
    skip_special_tokens: bool


@dataclass(frozen=True, slots=True)
class Generation:
    """One checked request. The prompt is text or token ids.

    Of a stream that began elsewhere, the prompt is what it was there, as token ids; limits are
    those for the tokens still to come.
    """

    request_id: str
    prompt: str | Sequence[int]
    truncate_prompt_tokens: int
    """Keep the last N prompt tokens; 0 keeps all."""
    sampling: Sampling
    decoding: Decoding
    stopping: Stopping
    wanted: Wanted
    bypass_prefix_cache: bool
    cache_salt: str
    priority: int
    session_id: str
    lora_name: str
    delivered: Sequence[int] = ()
    """The output tokens that the client has already."""
    delivered_text_bytes: int | None = None
    """How much of their text it has; None means all that they bring forth by themselves."""
    trace: TraceContext | None = None
    """The span that the engine's own are below; None where there is none."""
