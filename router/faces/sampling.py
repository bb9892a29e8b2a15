"""How tokens are drawn and when an answer ends: vLLM's sampling parameters, by vLLM's names.

Every face that is not vllm.Inference itself asks by them, and adds what its own API has beside
them. A parameter that would change the answer and cannot be honoured is refused.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from wire.status import bad_field
from wire.vllm import inference_pb2 as pb

ITEMS_MAX: Final = 4096
"""Of any list in a request but its messages and token ids."""

SEQUENCES_MAX: Final = 128
"""Answers to one prompt, an engine's own bound: a face keeps something of each before it asks."""

TOKENS_DEFAULT: Final = 16
"""Of an answer to a text, where nothing is said: vLLM's, and OpenAI's of completions."""

READ: Final = ConfigDict(extra="ignore", strict=True, allow_inf_nan=False, frozen=True)


class StructuredOutputs(BaseModel):
    """VLLM's own way to ask for a shape: one of these."""

    model_config = READ
    json_schema: str | dict[str, Any] | None = Field(default=None, alias="json")
    regex: str | None = None
    choice: list[str] | None = Field(default=None, max_length=ITEMS_MAX)
    grammar: str | None = None
    json_object: bool | None = None
    structural_tag: str | None = None


class SamplingParameters(BaseModel):
    """None is as good as absent."""

    model_config = READ
    n: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: dict[str, float] | None = Field(default=None, max_length=ITEMS_MAX)
    allowed_token_ids: list[int] | None = None
    # the shape of the answer
    structured_outputs: StructuredOutputs | None = None
    # stopping
    max_tokens: int | None = None
    min_tokens: int | None = None
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = Field(default=None, max_length=ITEMS_MAX)
    include_stop_str_in_output: bool | None = None
    ignore_eos: bool | None = None
    skip_special_tokens: bool | None = None
    # the engine's
    truncate_prompt_tokens: int | None = None
    priority: int | None = None
    cache_salt: str | None = None
    # Refused where they are set: see REFUSED.
    best_of: Any = None
    use_beam_search: Any = None
    bad_words: Any = None
    logits_processors: Any = None
    prompt_logprobs: Any = None
    kv_transfer_params: Any = None
    guided_json: Any = None
    guided_regex: Any = None
    guided_choice: Any = None
    guided_grammar: Any = None


_GUIDED: Final = "is not supported; give structured_outputs"
_UNSUPPORTED: Final = "is not supported"

REFUSED: Final = {
    **dict.fromkeys(("use_beam_search", "bad_words", "logits_processors"), _UNSUPPORTED),
    **dict.fromkeys(("prompt_logprobs", "kv_transfer_params"), _UNSUPPORTED),
    **dict.fromkeys(("guided_json", "guided_regex", "guided_choice", "guided_grammar"), _GUIDED),
}

_COPIED: Final = {
    "temperature": ("", "temperature"),
    "priority": ("", "priority"),
    "truncate_prompt_tokens": ("", "truncate_prompt_tokens"),
    "n": ("sampling", "num_sequences"),
    "top_p": ("sampling", "top_p"),
    "min_p": ("sampling", "min_p"),
    "seed": ("sampling", "seed"),
    "presence_penalty": ("decoding", "presence_penalty"),
    "frequency_penalty": ("decoding", "frequency_penalty"),
    "repetition_penalty": ("decoding", "repetition_penalty"),
    "min_tokens": ("stopping", "min_new_tokens"),
    "include_stop_str_in_output": ("stopping", "include_stop_strings"),
    "ignore_eos": ("stopping", "ignore_eos"),
    "skip_special_tokens": ("response", "skip_special_tokens"),
    "cache_salt": ("kv", "cache_salt"),
}
"""Where a parameter goes as it is: a message within the request, or the request itself."""


def fill(request: pb.GenerateRequest, asked: SamplingParameters) -> None:
    """Puts into a request all but its prompt, its length and what it takes of its answer.

    Raises CallError for what no request can carry; what an engine does not take, it refuses itself.
    """
    refuse_set(asked, REFUSED)
    if asked.best_of is not None and asked.best_of != (asked.n or 1):
        raise bad_field("best_of", "must be n: every answer that is made is given")
    for param, (group, field) in _COPIED.items():
        value = getattr(asked, param)
        if value is not None:
            put(getattr(request, group) if group else request, field, value, param)
    if asked.n is not None and not 1 <= asked.n <= SEQUENCES_MAX:
        wanted = "1 or more" if asked.n < 1 else f"at most {SEQUENCES_MAX}"
        raise bad_field("n", f"is {asked.n}, must be {wanted}")
    if asked.top_p == 0.0:  # for the engine that would be none; the likeliest token is meant
        put(request.sampling, "top_k", 1, "top_p")
    elif asked.top_k is not None and asked.top_k != -1:
        put(request.sampling, "top_k", asked.top_k, "top_k")
    _fill_stopping(request.stopping, asked)
    decoding = request.decoding
    put_all(decoding.allowed_token_ids, asked.allowed_token_ids, "allowed_token_ids")
    for name, bias in (asked.logit_bias or {}).items():
        if not (name.isdecimal() and len(name) <= 10):
            raise bad_field("logit_bias", f"{name!r} is no token id")
        try:
            decoding.logit_bias[int(name)] = bias
        except ValueError as error:
            raise bad_field("logit_bias", str(error)) from error
    _fill_shape(decoding, asked.structured_outputs)


def refuse_set(asked: BaseModel, refused: Mapping[str, str]) -> None:
    """Raises CallError for the first parameter that is set and cannot be honoured."""
    for name, why in refused.items():
        if getattr(asked, name):
            raise bad_field(name, why)


def put(message: Any, field: str, value: Any, param: str) -> None:
    """Sets a field; CallError where the value is out of its range."""
    try:
        setattr(message, field, value)
    except (TypeError, ValueError) as error:
        raise bad_field(param, f"is {value}, which is out of range") from error


def put_all(field: Any, values: list[int] | list[str] | None, param: str) -> None:
    """Sets a repeated field, where there are values; CallError for one that is out of its range."""
    if not values:  # or the message around the field would be set
        return
    try:
        field.extend(values)
    except (TypeError, ValueError) as error:
        raise bad_field(param, "has a value that is out of range") from error


def _fill_stopping(stopping: pb.StoppingCriteria, asked: SamplingParameters) -> None:
    strings = [asked.stop] if isinstance(asked.stop, str) else asked.stop or []
    put_all(stopping.stop_strings, [string for string in strings if string], "stop")
    put_all(stopping.stop_token_ids, asked.stop_token_ids, "stop_token_ids")


def _fill_shape(decoding: pb.DecodingParameters, shape: StructuredOutputs | None) -> None:
    if shape is None:
        return
    given = [name for name, value in shape if value not in (None, False)]
    if len(given) != 1:
        raise bad_field("structured_outputs", "must have exactly one shape")
    value = getattr(shape, given[0])
    if given[0] == "choice":
        decoding.choice.choices.extend(value)
    elif given[0] == "json_schema":
        decoding.json = value if isinstance(value, str) else json.dumps(value)
    else:
        setattr(decoding, given[0], value)


def limit(request: pb.GenerateRequest, tokens_max: int) -> None:
    """Says how many tokens are asked for at most; CallError where that is no such number."""
    if tokens_max < 1:
        raise bad_field("max_tokens", f"is {tokens_max}, must be 1 or more")
    put(request.stopping, "max_new_tokens", tokens_max, "max_tokens")
