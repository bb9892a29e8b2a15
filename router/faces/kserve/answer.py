"""What a model says, as the output tensors of this API."""

from collections.abc import Sequence
from typing import Any

import grpc

from router.faces.finish import reason_of
from router.faces.kserve import tensors
from router.faces.kserve.request import VERSION, Asked
from wire.kserve import inference_pb2 as kserve
from wire.status import failure
from wire.vllm import inference_pb2 as pb

_UNFINISHED = "None"
"""As Triton's vLLM backend says it."""


MODEL = "served_model"
"""The parameter of an answer that names its model, where the request calls it otherwise."""


class Answer:
    """Gathers an answer. Texts and counts of tokens are given once, and begin anew behind that."""

    remakes = False  # see MadeFor

    def __init__(self, request: kserve.ModelInferRequest, asked: Asked) -> None:
        self._model = request.model_name
        self._id = request.id
        self._wanted = asked.wanted
        count = asked.sequences
        self._texts = [[asked.before] for _ in range(count)]
        self._tokens = [0] * count
        self._logprobs = [0.0] * count
        self._reasons = [_UNFINISHED] * count
        self._prompt_tokens = 0
        self._open = count
        self.model = ""  # that answers, where it is not what the client calls it

    @property
    def is_complete(self) -> bool:
        """Whether every sequence has ended."""
        return not self._open

    async def made_for(self, model: str) -> None:
        """This model answers. Its prompt came as text, and stays as it is."""
        self.model = model

    def add(self, message: pb.GenerateResponse) -> bool:
        """Takes a message, and says whether it has something to tell.

        Raises CallError where somebody ended the request, and for a sequence nobody asked for.
        """
        output = message.outputs
        if output.index >= len(self._texts):
            raise failure(grpc.StatusCode.INTERNAL, "the endpoint sent what was not asked for")
        if message.HasField("prompt_info"):
            self._prompt_tokens = message.prompt_info.num_prompt_tokens
        if output.text:
            self._texts[output.index].append(output.text)
        self._tokens[output.index] += output.num_tokens
        self._logprobs[output.index] += sum(output.logprobs)
        if output.HasField("finish_info"):
            self._reasons[output.index] = reason_of(output.finish_info)
            self._open -= 1
        return bool(output.text) or output.HasField("finish_info")

    def response(self) -> kserve.ModelInferResponse:
        """What there is to tell."""
        response = kserve.ModelInferResponse(
            model_name=self._model, model_version=VERSION, id=self._id
        )
        if self.model:
            response.parameters[MODEL].string_param = self.model
        for name in self._wanted:
            tensors.put_output(response, name, self._values(name))
        for pieces in self._texts:
            pieces.clear()
        self._tokens = [0] * len(self._tokens)
        return response

    def _values(self, name: str) -> Sequence[Any]:
        """Of an output: one for each sequence, and one for the prompt they have in common."""
        match name:
            case tensors.TEXT:
                return ["".join(pieces).encode() for pieces in self._texts]
            case tensors.FINISH_REASON:
                return [reason.encode() for reason in self._reasons]
            case tensors.LOGPROB:
                return self._logprobs
            case tensors.PROMPT_TOKENS:
                return [self._prompt_tokens]
            case _:
                return self._tokens
