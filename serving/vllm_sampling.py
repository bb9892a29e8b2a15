"""What a request asks, as vLLM's sampling parameters."""

from collections.abc import Sequence
from copy import copy
from typing import Any

from vllm.sampling_params import RequestOutputKind, SamplingParams, StructuredOutputsParams

from serving.generation import Generation, Structure, StructureKind
from serving.vllm_scheduler import DELIVERED
from wire.status import bad_field


def default_sampling(model_config: Any) -> dict[str, Any]:
    """What the model's generation_config.json says of sampling. Without sampling it is greedy."""
    defaults: dict[str, Any] = model_config.get_diff_sampling_param()
    if model_config.try_get_generation_config().get("do_sample") is False:
        defaults["temperature"] = 0.0
    return defaults


def sampling_params(generation: Generation, limit: int, defaults: dict[str, Any]) -> SamplingParams:
    """Parameters that generate at most limit tokens more; defaults are the model's own.

    Of a stream that goes on here, they count what was delivered as generated.

    Raises CallError for what cannot be sampled.
    """
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
    if sampling.num_sequences > 1 and numbers.get("temperature") == 0:
        raise bad_field("sampling.num_sequences", "must be 1: the model's default is greedy")
    delivered = len(generation.delivered)
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
        max_tokens=delivered + limit,
        min_tokens=delivered + stopping.min_new_tokens,
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


def tokens_only(params: SamplingParams) -> SamplingParams:
    """The same for an engine whose tokens become text elsewhere."""
    bare = copy(params)
    bare.detokenize, bare.stop, bare.output_text_buffer_length = False, [], 0
    return bare


def as_output(params: SamplingParams, delivered: Sequence[int]) -> SamplingParams:
    """The same for an engine that takes delivered as output which follows the prompt."""
    resumed = copy(params)
    resumed.extra_args = {**(params.extra_args or {}), DELIVERED: list(delivered)}
    return resumed


def as_prompt(params: SamplingParams, delivered: Sequence[int]) -> SamplingParams:
    """The same for an engine that takes delivered as the prompt's end: less is to come."""
    resumed = copy(params)
    resumed.max_tokens = (params.max_tokens or 0) - len(delivered)
    resumed.min_tokens = params.min_tokens - len(delivered)
    return resumed


def _structured_outputs(structure: Structure | None) -> StructuredOutputsParams | None:
    if structure is None:
        return None
    value: object = structure.text
    if structure.kind is StructureKind.CHOICE:
        value = list(structure.choices)
    elif structure.kind is StructureKind.JSON_OBJECT:
        value = True
    return StructuredOutputsParams(**{structure.kind.value: value})
