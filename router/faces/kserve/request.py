"""A request of this API as one of vllm.Inference."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import grpc
from pydantic import ValidationError
from pydantic_core import from_json

from router.faces.kserve.tensors import (
    FINISH_REASON,
    LOGPROB,
    PROMPT,
    RETURN,
    SAMPLING,
    STREAM,
    TEXT,
    WITHOUT_PROMPT,
    read_inputs,
    wanted_outputs,
)
from router.faces.models import find
from router.faces.parameters import problem_of
from router.faces.sampling import READ, TOKENS_DEFAULT, SamplingParameters, fill, limit
from router.live.roster import Roster
from router.policy.fleet import Tenant
from wire.kserve import inference_pb2 as kserve
from wire.metadata import session_of
from wire.status import Metadata, bad_field
from wire.vllm import inference_pb2 as pb

VERSION: Final = "1"
"""Of every model: a fleet replaces one by another of the same name."""

SAMPLING_BYTES_MAX: Final = 512 * 1024
"""Of sampling parameters: twice what an engine takes of a schema, the longest of them."""

_US_PER_S: Final = 1_000_000
_SEQUENCE: Final = "sequence_id"
_PRIORITY: Final = "priority"
_TIMEOUT: Final = "timeout"
_NO_SAMPLING: Final = frozenset({_SEQUENCE, "sequence_start", "sequence_end", _TIMEOUT})
_TRITONS: Final = "triton_"


class Sampling(SamplingParameters):
    """What `sampling_parameters` may have. Triton's clients write numbers as texts, too."""

    model_config = READ | {"extra": "forbid", "strict": False}
    lora_name: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, read and checked."""

    generation: pb.GenerateRequest
    streams: bool
    wanted: tuple[str, ...]  # outputs
    sequences: int
    before: str  # the answer: the prompt, where that is wanted
    deadline_s: float


def read_asked(
    request: kserve.ModelInferRequest,
    roster: Roster,
    tenant: Tenant | None,
    metadata: Metadata,
    deadline_s: float,
) -> Asked:
    """Raises CallError, naming the tensor or parameter, for what cannot be asked by a tenant.

    `deadline_s` is what the answer may take at most.
    """
    check_version("model_version", request.model_version)
    inputs, parameters = read_inputs(request), _parameters(request)
    prompt = _text(PROMPT, inputs)
    sampling = _sampling(inputs, parameters)
    streams = bool(inputs.get(STREAM, False))
    bare = bool(inputs.get(WITHOUT_PROMPT, streams))
    if streams and not bare:
        raise bad_field(WITHOUT_PROMPT, "must be true in a stream")
    wanted = wanted_outputs(request) or [TEXT, FINISH_REASON]
    wanted += [name for flag, name in RETURN.items() if inputs.get(flag) and name not in wanted]

    served = find(roster, request.model_name, tenant)
    generation = pb.GenerateRequest(
        request_id=f"infer-{uuid4().hex}",  # an id of this API is its client's alone
        model=served.model,
        text=prompt,
        lora_name=sampling.lora_name or served.adapter,
    )
    fill(generation, sampling)
    limit(generation, TOKENS_DEFAULT if sampling.max_tokens is None else sampling.max_tokens)
    if LOGPROB in wanted:
        generation.response.output_logprobs = True
    session = session_of(metadata)[1] or _session(parameters)
    if session:
        generation.session_id = session
    return Asked(
        generation,
        streams,
        tuple(wanted),
        sampling.n or 1,
        "" if bare else prompt,
        min(deadline_s, _timeout_s(parameters, deadline_s)),
    )


def check_version(field: str, version: str) -> None:
    """Raises CallError for a version that no model has."""
    if version not in {"", VERSION}:
        message = f"{version[:64]!r} is not served: every model has the version {VERSION}"
        raise bad_field(field, message, grpc.StatusCode.NOT_FOUND)


def _parameters(request: kserve.ModelInferRequest) -> dict[str, Any]:
    values = {}
    for name, parameter in request.parameters.items():
        choice = parameter.WhichOneof("parameter_choice")
        if choice is not None:
            values[name] = getattr(parameter, choice)
    return values


def _sampling(inputs: Mapping[str, bytes | bool], parameters: Mapping[str, Any]) -> Sampling:
    """From their tensor or, without it, from the parameters of the request."""
    if SAMPLING in inputs:
        text = _text(SAMPLING, inputs)
        if len(text) > SAMPLING_BYTES_MAX:
            raise bad_field(SAMPLING, f"has more than {SAMPLING_BYTES_MAX} characters")
        try:
            values = from_json(text)  # which refuses half a surrogate, too: no request carries it
        except ValueError as error:
            raise bad_field(SAMPLING, f"is no JSON: {error}") from error
        if not isinstance(values, dict):
            raise bad_field(SAMPLING, "must be a JSON object")
        if _PRIORITY in parameters:
            values.setdefault(_PRIORITY, parameters[_PRIORITY])
    else:
        values = {
            name: value
            for name, value in parameters.items()
            if name not in _NO_SAMPLING and not name.startswith(_TRITONS)
        }
    try:
        return Sampling.model_validate(values)
    except ValidationError as error:
        param, problem = problem_of(error)
        raise bad_field(param or SAMPLING, problem) from error


def _text(name: str, inputs: Mapping[str, bytes | bool]) -> str:
    value = inputs.get(name)
    if not isinstance(value, bytes):
        raise bad_field(name, "is missing")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise bad_field(name, "is not valid UTF-8") from error


def _session(parameters: Mapping[str, Any]) -> str:
    """The sequence that a request belongs to; 0 and an empty name are none."""
    return str(parameters.get(_SEQUENCE) or "")


def _timeout_s(parameters: Mapping[str, Any], default_s: float) -> float:
    value = parameters.get(_TIMEOUT) or 0
    if isinstance(value, str | bool) or not value >= 0:
        raise bad_field(_TIMEOUT, "must be a number of microseconds")
    return value / _US_PER_S if value else default_s
