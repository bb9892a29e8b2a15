"""The tensors of a language model, named as Triton's vLLM backend names them, and their bytes."""

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from wire.kserve import inference_pb2 as pb
from wire.status import bad_field


@dataclass(frozen=True, slots=True)
class Tensor:
    """One that requests or answers have. `length` is -1 where the request decides it."""

    name: str
    datatype: str
    length: int = 1
    optional: bool = True


PROMPT: Final = "text_input"
STREAM: Final = "stream"
SAMPLING: Final = "sampling_parameters"
WITHOUT_PROMPT: Final = "exclude_input_in_output"

TEXT: Final = "text_output"
FINISH_REASON: Final = "finish_reason"
LOGPROB: Final = "cumulative_logprob"
PROMPT_TOKENS: Final = "num_input_tokens"
OUTPUT_TOKENS: Final = "num_output_tokens"

RETURN: Final = {
    f"return_{name}": name for name in (FINISH_REASON, LOGPROB, PROMPT_TOKENS, OUTPUT_TOKENS)
}
"""The inputs that ask for an output."""

INPUTS: Final = (
    Tensor(PROMPT, "BYTES", optional=False),
    Tensor(STREAM, "BOOL"),
    Tensor(SAMPLING, "BYTES"),
    Tensor(WITHOUT_PROMPT, "BOOL"),
    *(Tensor(name, "BOOL") for name in RETURN),
)
OUTPUTS: Final = (
    Tensor(TEXT, "BYTES", -1),
    Tensor(FINISH_REASON, "BYTES", -1),
    Tensor(LOGPROB, "FP32", -1),
    Tensor(PROMPT_TOKENS, "UINT32"),
    Tensor(OUTPUT_TOKENS, "UINT32", -1),
)

_INPUT: Final = {tensor.name: tensor for tensor in INPUTS}
_OUTPUT: Final = {tensor.name: tensor for tensor in OUTPUTS}


def read_inputs(request: pb.ModelInferRequest) -> Mapping[str, bytes | bool]:
    """The value of each tensor that a request has, by its name.

    Raises CallError naming the tensor for one that is unknown, twice there, or none of its kind.
    """
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise bad_field(
            "raw_input_contents", f"has {len(raw)} entries for {len(request.inputs)} inputs"
        )
    values: dict[str, bytes | bool] = {}
    for place, given in enumerate(request.inputs):
        tensor = _INPUT.get(given.name)
        if tensor is None:
            known = ", ".join(_INPUT)
            raise bad_field("inputs", f"{given.name[:64]!r} is no input here; known: {known}")
        if given.name in values:
            raise bad_field(given.name, "is there twice")
        if given.datatype != tensor.datatype or math.prod(given.shape) != 1 or not given.shape:
            raise bad_field(given.name, f"must be {tensor.datatype} of the shape [1]")
        values[given.name] = _READERS[tensor.datatype](given, raw[place] if raw else None)
    return values


def wanted_outputs(request: pb.ModelInferRequest) -> list[str]:
    """The names of the outputs that a request lists; CallError for one that there is not."""
    for output in request.outputs:
        if output.name not in _OUTPUT:
            known = ", ".join(_OUTPUT)
            raise bad_field("outputs", f"{output.name[:64]!r} is no output here; known: {known}")
        if output.parameters:
            name = min(output.parameters)
            raise bad_field("outputs", f"{output.name}: {name[:64]!r} is not supported")
    return [output.name for output in request.outputs]


def put_output(response: pb.ModelInferResponse, name: str, values: Sequence[Any]) -> None:
    """Adds an output with these values: bytes, or numbers, as its datatype has them."""
    datatype = _OUTPUT[name].datatype
    response.outputs.add(name=name, datatype=datatype, shape=(len(values),))
    response.raw_output_contents.append(_WRITERS[datatype](values))


def _read_bytes(given: pb.ModelInferRequest.InferInputTensor, raw: bytes | None) -> bytes:
    if raw is None:
        if len(given.contents.bytes_contents) != 1:
            raise bad_field(given.name, "must have one element")
        return given.contents.bytes_contents[0]
    if len(raw) < 4 or int.from_bytes(raw[:4], "little") != len(raw) - 4:
        raise bad_field(given.name, "must have one element behind its length in four bytes")
    return raw[4:]


def _read_bool(given: pb.ModelInferRequest.InferInputTensor, raw: bytes | None) -> bool:
    values = given.contents.bool_contents if raw is None else raw
    if len(values) != 1:
        raise bad_field(given.name, "must have one element")
    return bool(values[0])


def _written_bytes(values: Iterable[bytes]) -> bytes:
    return b"".join(len(value).to_bytes(4, "little") + value for value in values)


_READERS: Final[
    Mapping[str, Callable[[pb.ModelInferRequest.InferInputTensor, bytes | None], bytes | bool]]
] = {"BYTES": _read_bytes, "BOOL": _read_bool}

_WRITERS: Final[Mapping[str, Callable[[Sequence[Any]], bytes]]] = {
    "BYTES": _written_bytes,
    "UINT32": lambda values: struct.pack(f"<{len(values)}I", *values),
    "FP32": lambda values: struct.pack(f"<{len(values)}f", *values),
}
