"""Why an answer ended."""

import grpc

from wire.status import failure
from wire.vllm import inference_pb2 as pb


def reason_of(info: pb.FinishInfo) -> str:
    """The word for the end of a sequence, OpenAI's and vLLM's alike.

    Raises CallError where somebody ended the request: what was said is not an answer.
    """
    if info.finish_reason == pb.FinishInfo.STOP:
        return "stop"
    if info.finish_reason == pb.FinishInfo.LENGTH:
        return "length"
    raise failure(grpc.StatusCode.ABORTED, "the request was aborted")
