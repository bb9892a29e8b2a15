"""A request of vLLM's engine API as one of `vllm.Inference`: every field is honoured or refused.

Pure. What an engine allows is judged where the request goes next; here is only what this API says
in another way, or what the other one has no word for.
"""

from typing import Final

from wire.engine import engine_pb2 as pb
from wire.status import CallError, bad_field, violation_of
from wire.vllm import inference_pb2 as vllm

PARAMS: Final = "sampling_params"

_ALL: Final = -1
"""Of candidates, and of a prompt's tokens: as many as there can be."""

_REFUSED: Final = (
    "kv_transfer_params",
    "kv_transfer_params_json",
    "mm_inputs",
    "media_refs",
)

_NAMES: Final = {
    "token_ids": "tokenized.input_ids",
    "temperature": f"{PARAMS}.temperature",
    "sampling.num_sequences": f"{PARAMS}.n",
    "decoding.json": f"{PARAMS}.json_schema",
    "stopping.max_new_tokens": f"{PARAMS}.max_tokens",
    "stopping.min_new_tokens": f"{PARAMS}.min_tokens",
    "stopping.stop_strings": f"{PARAMS}.stop",
    "stopping.include_stop_strings": f"{PARAMS}.include_stop_str_in_output",
    "response.output_candidates": f"{PARAMS}.logprobs",
    "response.prompt_candidates": f"{PARAMS}.prompt_logprobs",
    "response.prompt_logprobs": f"{PARAMS}.prompt_logprobs",
    "truncate_prompt_tokens": f"{PARAMS}.truncate_prompt_tokens",
}
"""What fields of `vllm.GenerateRequest` are called here; the others keep their last name."""

_GROUPS: Final = ("sampling.", "decoding.", "stopping.")


def read_generate(
    request: pb.GenerateRequest, context_tokens: int, model: str = ""
) -> vllm.GenerateRequest:
    """The same request of `vllm.Inference`, for an engine with this context, in tokens.

    A context of 0 is one that is not known. Raises CallError naming the field.
    """
    for field in _REFUSED:
        if request.HasField(field):
            raise bad_field(field, "is not supported: prompts are text or token ids, made here")
    if request.extra_mm_inputs:
        raise bad_field("extra_mm_inputs", "is not supported: prompts are text or token ids")
    if request.HasField("data_parallel_rank") and request.data_parallel_rank:
        raise bad_field("data_parallel_rank", "must be 0: an engine here has one rank")
    params = request.sampling_params
    asked = vllm.GenerateRequest(request_id=request.request_id, model=model)
    _read_prompt(request, asked)
    _read_sampling(params, asked)
    _read_decoding(params, asked)
    asked.truncate_prompt_tokens = _kept(params, context_tokens)
    _read_stopping(params, asked, context_tokens)
    _read_wanted(params, asked.response)
    return asked


def renamed(error: CallError) -> CallError:
    """The same error; where it names a field of `vllm.GenerateRequest`, by its name here."""
    violation = violation_of(error)
    if violation is None:
        return error
    field = violation.field
    for known, name in _NAMES.items():
        if field == known or field.startswith(f"{known}."):
            return bad_field(name, violation.description, error.code)
    for group in _GROUPS:
        if field.startswith(group):
            named = f"{PARAMS}.{field.removeprefix(group)}"
            return bad_field(named, violation.description, error.code)
    return error


def _read_prompt(request: pb.GenerateRequest, asked: vllm.GenerateRequest) -> None:
    kind = request.WhichOneof("input")
    if kind is None:
        raise bad_field("input", "is missing: set tokenized or text")
    if kind == "tokenized":
        asked.token_ids.ids[:] = request.tokenized.input_ids
    else:
        asked.text = request.text


def _read_sampling(params: pb.SamplingParams, asked: vllm.GenerateRequest) -> None:
    if params.HasField("temperature"):
        asked.temperature = params.temperature
    sampling = asked.sampling
    sampling.num_sequences = params.n
    sampling.top_k, sampling.top_p, sampling.min_p = params.top_k, params.top_p, params.min_p
    if params.HasField("seed"):
        sampling.seed = params.seed


def _read_decoding(params: pb.SamplingParams, asked: vllm.GenerateRequest) -> None:
    decoding = asked.decoding
    decoding.presence_penalty = params.presence_penalty
    decoding.frequency_penalty = params.frequency_penalty
    decoding.repetition_penalty = params.repetition_penalty
    for token_id, bias in params.logit_bias.items():
        if token_id < 0:
            raise bad_field(f"{PARAMS}.logit_bias", f"{token_id} is no token id")
        decoding.logit_bias[token_id] = bias
    match params.WhichOneof("constraint"):
        case None:
            pass
        case "json_schema":
            decoding.json = params.json_schema
        case "choice":
            decoding.choice.choices[:] = params.choice.choices
        case "json_object":
            decoding.json_object = params.json_object
        case other:  # regex, grammar and structural_tag have the same names
            setattr(decoding, other, getattr(params, other))


def _read_stopping(
    params: pb.SamplingParams, asked: vllm.GenerateRequest, context_tokens: int
) -> None:
    stopping = asked.stopping
    if params.HasField("max_tokens"):
        if not params.max_tokens:
            raise bad_field(f"{PARAMS}.max_tokens", "must be 1 or more, or absent for what fits")
        stopping.max_new_tokens = params.max_tokens
    else:
        stopping.max_new_tokens = _room(asked, context_tokens)
    stopping.min_new_tokens = params.min_tokens
    stopping.stop_token_ids[:] = params.stop_token_ids
    stopping.stop_strings[:] = params.stop
    stopping.include_stop_strings = params.include_stop_str_in_output
    stopping.ignore_eos = params.ignore_eos


def _room(asked: vllm.GenerateRequest, context_tokens: int) -> int:
    """How many tokens fit behind the prompt; 1 where it does not fit itself, and is refused so."""
    if asked.WhichOneof("prompt") == "text" or not context_tokens:
        raise bad_field(
            f"{PARAMS}.max_tokens",
            "is missing: what fits is known for token ids alone, and where the context is known",
        )
    prompt = len(asked.token_ids.ids)
    kept = asked.truncate_prompt_tokens
    return max(1, context_tokens - (min(kept, prompt) if kept else prompt))


def _kept(params: pb.SamplingParams, context_tokens: int) -> int:
    """The last tokens of the prompt that are kept; 0 keeps all."""
    if not params.HasField("truncate_prompt_tokens"):
        return 0
    kept = params.truncate_prompt_tokens
    if kept == _ALL and context_tokens:
        return max(1, context_tokens - max(1, params.max_tokens))
    if kept < 1:
        raise bad_field(
            f"{PARAMS}.truncate_prompt_tokens",
            f"is {kept}, must be 1 or more, or -1 where the context is known",
        )
    return kept


def _read_wanted(params: pb.SamplingParams, response: vllm.ResponseOptions) -> None:
    response.output_text = False  # this API answers in token ids
    response.output_token_ids = True
    response.skip_special_tokens = params.skip_special_tokens  # where stop strings are looked for
    if params.HasField("logprobs"):
        response.output_logprobs = True
        _read_candidates("logprobs", params.logprobs, response.output_candidates)
    if params.HasField("prompt_logprobs"):
        response.prompt_logprobs = response.prompt_token_ids = True
        _read_candidates("prompt_logprobs", params.prompt_logprobs, response.prompt_candidates)


def _read_candidates(name: str, count: int, candidates: vllm.CandidateTokens) -> None:
    """Sets which candidates are wanted; none for 0, which asks for the chosen token alone."""
    if count < _ALL:
        raise bad_field(f"{PARAMS}.{name}", f"is {count}, must be 0 or more, or -1 for all")
    if count == _ALL:
        candidates.all = True
    elif count:
        candidates.top_n = count
