"""What a model takes and gives, as this API describes it."""

from importlib.metadata import PackageNotFoundError, version
from typing import Final

from router.faces.kserve.request import VERSION
from router.faces.kserve.tensors import INPUTS, OUTPUTS
from wire.kserve import inference_pb2 as pb

_EXTENSIONS: Final = ("model_configuration", "parameters")
_PLATFORM: Final = "spillway"
_BACKEND: Final = "vllm"
"""Triton's, of which the tensors are."""

_CONFIGURED: Final = {
    "BYTES": pb.TYPE_STRING,
    "BOOL": pb.TYPE_BOOL,
    "UINT32": pb.TYPE_UINT32,
    "FP32": pb.TYPE_FP32,
}


def server_metadata() -> pb.ServerMetadataResponse:
    """Which server this is."""
    try:
        ours = version(_PLATFORM)
    except PackageNotFoundError:  # run from a folder of the source, not installed
        ours = "unknown"
    return pb.ServerMetadataResponse(name=_PLATFORM, version=ours, extensions=_EXTENSIONS)


def model_metadata(name: str) -> pb.ModelMetadataResponse:
    """As the protocol has it."""
    metadata = pb.ModelMetadataResponse(name=name, versions=[VERSION], platform=_PLATFORM)
    for described, tensors in ((metadata.inputs, INPUTS), (metadata.outputs, OUTPUTS)):
        for tensor in tensors:
            described.add(name=tensor.name, datatype=tensor.datatype, shape=(tensor.length,))
    return metadata


def model_config(name: str) -> pb.ModelConfig:
    """As Triton has it: decoupled, since a request may have many responses."""
    config = pb.ModelConfig(name=name, platform=_PLATFORM, backend=_BACKEND)
    config.model_transaction_policy.decoupled = True
    for tensor in INPUTS:
        config.input.add(
            name=tensor.name,
            data_type=_CONFIGURED[tensor.datatype],
            dims=(tensor.length,),
            optional=tensor.optional,
        )
    for tensor in OUTPUTS:
        config.output.add(
            name=tensor.name, data_type=_CONFIGURED[tensor.datatype], dims=(tensor.length,)
        )
    return config
