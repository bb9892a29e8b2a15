"""Reads a vllm.GenerateRequest: every field is honoured, or refused by its name.

Pure: what an engine allows comes in as its EngineInfo. What can only be checked once a text prompt
is tokenized (its length) is checked by fit_to_context, which engines call.
"""

import math
from collections.abc import Iterable, Sequence
from uuid import uuid4

import grpc

from serving.engine import EngineInfo
from serving.generation import (
    DEFAULT_MAX_NEW_TOKENS,
    Candidates,
    Decoding,
    Generation,
    Sampling,
    Stopping,
    Structure,
    StructureKind,
    Wanted,
)
from serving.resume import Resume, split_prompt
from wire.spillway.v1.resume import RESUME_KEY
from wire.status import bad_field
from wire.vllm import inference_pb2 as pb

NAME_CHARS_MAX = 256
"""Request ids, session ids, salts: long enough for any scheme of ids, short enough to log."""

NUM_SEQUENCES_MAX = 128
"""Answers to one prompt: each takes a place in the engine's batch."""

STOP_STRINGS_MAX = 64
STOP_STRING_CHARS_MAX = 1024
"""Stop strings are searched in every chunk, and the longest is held back from the client."""

STRUCTURE_CHARS_MAX = 256 * 1024
"""Schemas and grammars are compiled before the first token."""

CANDIDATE_IDS_MAX = 128
"""Tokens scored by id at each position (vLLM's own bound)."""

LOGIT_BIAS_MAX = 100.0
TEMPERATURE_MAX = 2.0
PENALTY_MAX = 2.0


def read_request(
    request: pb.GenerateRequest,
    info: EngineInfo,
    session_id: str = "",
    resume: Resume | None = None,
) -> Generation:
    """The request as checked values; session_id and resume are what its metadata say of them.

    The field for the session goes before the metadata.
    Raises CallError: NOT_FOUND for a model or adapter that is not served, and else
    INVALID_ARGUMENT, each naming the field.
    """
    if request.model and request.model not in info.served_names:
        known = ", ".join(info.served_names)
        raise bad_field("model", f"is not served here; known: {known}", grpc.StatusCode.NOT_FOUND)
    if request.lora_name and request.lora_name not in info.lora_names:
        raise bad_field("lora_name", "is not loaded here", grpc.StatusCode.NOT_FOUND)
    if request.media:
        raise bad_field("media", "is not supported: prompts are text or token ids")
    for field in ("kv_transfer_params", "ec_transfer_params"):
        if request.kv.HasField(field):
            raise bad_field(f"kv.{field}", "is not supported: nothing is transferred here")
    if request.priority and not info.honours_priority:
        raise bad_field("priority", "must be 0: this engine serves in the order of arrival")
    prompt, delivered = _prompt(request, info), list[int]()
    if resume is not None:
        prompt, delivered = _resumed(request, prompt, resume)
    generation = Generation(
        request_id=_name("request_id", request.request_id) or uuid4().hex,
        prompt=prompt,
        truncate_prompt_tokens=request.truncate_prompt_tokens,
        sampling=_sampling(request, info),
        decoding=_decoding(request.decoding, info),
        stopping=_stopping(request.stopping, info),
        wanted=_wanted(request.response, info),
        bypass_prefix_cache=request.kv.bypass_prefix_cache,
        cache_salt=_name("kv.cache_salt", request.kv.cache_salt),
        priority=request.priority,
        session_id=_name("session_id", request.session_id or session_id),
        lora_name=request.lora_name,
        delivered=delivered,
        delivered_text_bytes=resume.text_bytes if resume else None,
    )
    if not isinstance(generation.prompt, str):
        fit_to_context(generation, len(generation.prompt), info)
    return generation


def fit_to_context(generation: Generation, prompt_tokens: int, info: EngineInfo) -> int:
    """How many tokens may be generated after a prompt of this length and what was delivered.

    Raises CallError (INVALID_ARGUMENT) where prompt and answer do not fit the model's context. A
    request that names no limit gets what fits of the default.
    """
    field = "text" if isinstance(generation.prompt, str) else "token_ids"
    stopping = generation.stopping
    if prompt_tokens == 0:
        raise bad_field(field, "must not be empty")
    prompt_tokens += len(generation.delivered)
    room = info.max_model_len - prompt_tokens
    if room < 1:
        raise bad_field(
            field,
            f"has {prompt_tokens} tokens, and with one to generate the model's context of "
            f"{info.max_model_len} is exceeded",
        )
    wanted = stopping.max_new_tokens
    if wanted is not None and wanted > room:
        raise bad_field(
            "stopping.max_new_tokens",
            f"is {wanted}, and with the prompt's {prompt_tokens} tokens the model's context of "
            f"{info.max_model_len} is exceeded; at most {room} fit",
        )
    limit = min(DEFAULT_MAX_NEW_TOKENS, room) if wanted is None else wanted
    if stopping.min_new_tokens > limit:
        raise bad_field(
            "stopping.min_new_tokens",
            f"is {stopping.min_new_tokens}, more than the {limit} tokens to generate at most",
        )
    return limit


def truncated(generation: Generation, token_ids: Sequence[int]) -> Sequence[int]:
    """The prompt's tokens that truncate_prompt_tokens keeps: the last ones."""
    keep = generation.truncate_prompt_tokens
    return token_ids[-keep:] if 0 < keep < len(token_ids) else token_ids


def _prompt(request: pb.GenerateRequest, info: EngineInfo) -> str | Sequence[int]:
    kind = request.WhichOneof("prompt")
    if kind is None:
        raise bad_field("prompt", "is missing: set text or token_ids")
    if kind == "text":
        if not info.has_tokenizer:
            raise bad_field("text", "is not supported: this engine has no tokenizer")
        if not request.text:
            raise bad_field("text", "must not be empty")
        return request.text
    token_ids = list(request.token_ids.ids)
    if not token_ids:
        raise bad_field("token_ids", "must not be empty")
    _in_vocabulary("token_ids", token_ids, info)
    keep = request.truncate_prompt_tokens
    return token_ids[-keep:] if keep else token_ids


def _resumed(
    request: pb.GenerateRequest, prompt: str | Sequence[int], resume: Resume
) -> tuple[list[int], list[int]]:
    """The prompt and what was delivered, of a request that can go on with what was."""
    if isinstance(prompt, str):
        raise bad_field(RESUME_KEY, "needs a prompt of token ids, and this one is text")
    if request.truncate_prompt_tokens:
        raise bad_field("truncate_prompt_tokens", f"must be 0 with {RESUME_KEY}")
    if request.sampling.num_sequences > 1:
        raise bad_field("sampling.num_sequences", f"must be 1 with {RESUME_KEY}")
    for field in ("prompt_token_ids", "prompt_logprobs", "prompt_candidates"):
        asked = getattr(request.response, field)
        if request.response.HasField(field) if field == "prompt_candidates" else asked:
            raise bad_field(f"response.{field}", f"must be absent with {RESUME_KEY}")
    return split_prompt(prompt, resume)


def _sampling(request: pb.GenerateRequest, info: EngineInfo) -> Sampling:
    sampling = request.sampling
    temperature = None
    if request.HasField("temperature"):
        temperature = _within("temperature", request.temperature, 0.0, TEMPERATURE_MAX)
    if sampling.num_sequences > NUM_SEQUENCES_MAX:
        raise bad_field("sampling.num_sequences", f"must be at most {NUM_SEQUENCES_MAX}")
    if sampling.num_sequences > 1 and temperature == 0.0:
        raise bad_field("sampling.num_sequences", "must be 1 where temperature is 0")
    return Sampling(
        temperature=temperature,
        # More than there are tokens means all of them.
        top_k=min(sampling.top_k, info.vocab_size) or None,
        top_p=_within("sampling.top_p", sampling.top_p, 0.0, 1.0) or None,
        min_p=_within("sampling.min_p", sampling.min_p, 0.0, 1.0) or None,
        seed=sampling.seed if sampling.HasField("seed") else None,
        num_sequences=sampling.num_sequences or 1,
    )


def _decoding(decoding: pb.DecodingParameters, info: EngineInfo) -> Decoding:
    repetition = decoding.repetition_penalty
    if not (math.isfinite(repetition) and repetition >= 0):
        raise bad_field("decoding.repetition_penalty", f"is {repetition}, must be 0 or more")
    bias = dict(decoding.logit_bias)
    _in_vocabulary("decoding.logit_bias", bias, info)
    for token_id, value in bias.items():
        _within(f"decoding.logit_bias[{token_id}]", value, -LOGIT_BIAS_MAX, LOGIT_BIAS_MAX)
    allowed = list(decoding.allowed_token_ids)
    _in_vocabulary("decoding.allowed_token_ids", allowed, info)
    return Decoding(
        presence_penalty=_penalty("presence_penalty", decoding.presence_penalty),
        frequency_penalty=_penalty("frequency_penalty", decoding.frequency_penalty),
        repetition_penalty=repetition or None,
        logit_bias=bias,
        allowed_token_ids=allowed,
        structure=_structure(decoding, info),
    )


def _structure(decoding: pb.DecodingParameters, info: EngineInfo) -> Structure | None:
    which = decoding.WhichOneof("structured_output")
    if which is None:
        return None
    field = f"decoding.{which}"
    if not info.has_tokenizer:
        raise bad_field(field, "is not supported: this engine has no tokenizer")
    kind = StructureKind(which)
    if kind is StructureKind.JSON_OBJECT:
        if not decoding.json_object:
            raise bad_field(field, "must be true or absent")
        return Structure(kind)
    if kind is StructureKind.CHOICE:
        choices = list(decoding.choice.choices)
        if not choices or not all(choices):
            raise bad_field(field, "must name at least one choice, and none may be empty")
        if sum(map(len, choices)) > STRUCTURE_CHARS_MAX:
            raise bad_field(field, f"must have at most {STRUCTURE_CHARS_MAX} characters")
        return Structure(kind, choices=choices)
    text: str = getattr(decoding, which)
    if not text.strip():
        raise bad_field(field, "must not be empty")
    if len(text) > STRUCTURE_CHARS_MAX:
        raise bad_field(field, f"must have at most {STRUCTURE_CHARS_MAX} characters")
    return Structure(kind, text=text)


def _stopping(stopping: pb.StoppingCriteria, info: EngineInfo) -> Stopping:
    strings = list(stopping.stop_strings)
    field = "stopping.stop_strings"
    if strings and not info.has_tokenizer:
        raise bad_field(field, "is not supported: this engine has no tokenizer")
    if len(strings) > STOP_STRINGS_MAX:
        raise bad_field(field, f"must be at most {STOP_STRINGS_MAX}")
    if not all(0 < len(string) <= STOP_STRING_CHARS_MAX for string in strings):
        raise bad_field(field, f"must each have 1 to {STOP_STRING_CHARS_MAX} characters")
    token_ids = list(stopping.stop_token_ids)
    _in_vocabulary("stopping.stop_token_ids", token_ids, info)
    if stopping.max_new_tokens >= info.max_model_len:
        raise bad_field(
            "stopping.max_new_tokens",
            f"is {stopping.max_new_tokens}, must be below the model's context of "
            f"{info.max_model_len}",
        )
    return Stopping(
        max_new_tokens=stopping.max_new_tokens or None,
        min_new_tokens=stopping.min_new_tokens,
        stop_token_ids=token_ids,
        stop_strings=strings,
        include_stop_strings=stopping.include_stop_strings,
        ignore_eos=stopping.ignore_eos,
    )


def _wanted(response: pb.ResponseOptions, info: EngineInfo) -> Wanted:
    output_text = response.output_text if response.HasField("output_text") else info.has_tokenizer
    if output_text and not info.has_tokenizer:
        raise bad_field("response.output_text", "is not supported: this engine has no tokenizer")
    prompt_candidates = None
    if response.HasField("prompt_candidates"):
        prompt_candidates = _candidates(
            "response.prompt_candidates", response.prompt_candidates, info
        )
        if prompt_candidates.token_ids:
            raise bad_field(
                "response.prompt_candidates.token_ids",
                "is not supported: prompt candidates are chosen by rank",
            )
    output_candidates = None
    if response.HasField("output_candidates"):
        output_candidates = _candidates(
            "response.output_candidates", response.output_candidates, info
        )
    skip_special = (
        response.skip_special_tokens if response.HasField("skip_special_tokens") else True
    )
    return Wanted(
        prompt_token_ids=response.prompt_token_ids,
        prompt_logprobs=response.prompt_logprobs,
        prompt_candidates=prompt_candidates,
        output_text=output_text,
        output_token_ids=response.output_token_ids,
        output_logprobs=response.output_logprobs,
        output_candidates=output_candidates,
        skip_special_tokens=skip_special,
    )


def _candidates(field: str, candidates: pb.CandidateTokens, info: EngineInfo) -> Candidates:
    which = candidates.WhichOneof("select")
    if which == "top_n":
        if not 0 < candidates.top_n <= info.max_logprobs:
            raise bad_field(f"{field}.top_n", f"must be from 1 to {info.max_logprobs}")
        return Candidates(top_n=candidates.top_n)
    if which == "token_ids":
        token_ids = list(dict.fromkeys(candidates.token_ids.ids))
        if not 0 < len(token_ids) <= CANDIDATE_IDS_MAX:
            raise bad_field(f"{field}.token_ids", f"must be 1 to {CANDIDATE_IDS_MAX} token ids")
        _in_vocabulary(f"{field}.token_ids", token_ids, info)
        return Candidates(token_ids=token_ids)
    if which == "all" and candidates.all:
        if info.max_logprobs < info.vocab_size:
            raise bad_field(
                f"{field}.all", f"is not allowed here; top_n may be {info.max_logprobs}"
            )
        return Candidates(all=True)
    raise bad_field(field, "must select top_n, token_ids or all")


def _penalty(name: str, value: float) -> float:
    return _within(f"decoding.{name}", value, -PENALTY_MAX, PENALTY_MAX)


def _within(field: str, value: float, low: float, high: float) -> float:
    """The value, which must be a number of this range; the comparison refuses NaN."""
    if not low <= value <= high:
        raise bad_field(field, f"is {value}, must be from {low:g} to {high:g}")
    return value


def _in_vocabulary(field: str, token_ids: Iterable[int], info: EngineInfo) -> None:
    largest = max(token_ids, default=0)
    if largest >= info.vocab_size:
        raise bad_field(
            field, f"token id {largest} is out of the vocabulary of {info.vocab_size} tokens"
        )


def _name(field: str, value: str) -> str:
    if len(value) > NAME_CHARS_MAX:
        raise bad_field(field, f"must have at most {NAME_CHARS_MAX} characters")
    return value
