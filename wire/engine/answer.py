"""An answer of `vllm.Inference` in the messages of vLLM's engine API.

A stream has chunks with what is new and, behind the last chunk of a sequence, its end, which has
the tokens of that chunk again. A whole answer has the ends alone, each with all of its sequence.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from google.protobuf.message import Message

from wire.engine import engine_pb2 as pb
from wire.vllm import inference_pb2 as vllm

_REASONS: Final = {
    vllm.FinishInfo.STOP: "stop",
    vllm.FinishInfo.LENGTH: "length",
    vllm.FinishInfo.ABORTED: "abort",
}


class Answer:
    """Takes the messages of one answer, in order, and gives those of the other API."""

    def __init__(self, request: pb.GenerateRequest) -> None:
        self._streams = request.stream
        params = request.sampling_params
        self._logprobs = params.HasField("logprobs")
        self._candidates = bool(params.logprobs)
        self._prompt_candidates = bool(params.prompt_logprobs)
        self._prompt_tokens = 0
        self._input = pb.InputLogProbs()
        self._begun: set[int] = set()  # sequences with a chunk
        self._gathered: dict[int, pb.GenerateComplete] = {}

    def take(self, message: vllm.GenerateResponse) -> Iterator[pb.GenerateResponse]:
        """What there is to tell upon one message."""
        if message.HasField("prompt_info"):
            self._read_prompt(message.prompt_info)
        output = message.outputs
        logprobs = self._output_logprobs(output) if self._logprobs else None
        if not self._streams:
            yield from self._gather(output, logprobs)
            return
        index, first = output.index, output.index not in self._begun
        self._begun.add(index)
        told = pb.GenerateResponse()
        chunk = told.chunk
        chunk.index = index
        chunk.token_ids[:] = output.token_ids
        chunk.completion_tokens = output.num_tokens
        chunk.prompt_tokens = self._prompt_tokens
        _set(chunk, "output_logprobs", logprobs)
        if first:
            _set(chunk, "input_logprobs", self._input)
        yield told
        if output.HasField("finish_info"):
            end = pb.GenerateComplete(index=index, output_ids=output.token_ids)
            end.completion_tokens = output.num_tokens
            _set(end, "output_logprobs", logprobs)
            yield self._ended(end, output.finish_info)

    def _gather(
        self, output: vllm.SequenceOutput, logprobs: pb.OutputLogProbs | None
    ) -> Iterator[pb.GenerateResponse]:
        end = self._gathered.setdefault(output.index, pb.GenerateComplete(index=output.index))
        end.output_ids.extend(output.token_ids)
        end.completion_tokens += output.num_tokens
        if logprobs is not None and logprobs.token_ids:
            end.output_logprobs.MergeFrom(logprobs)
        if output.HasField("finish_info"):
            yield self._ended(self._gathered.pop(output.index), output.finish_info)

    def _ended(self, end: pb.GenerateComplete, info: vllm.FinishInfo) -> pb.GenerateResponse:
        end.prompt_tokens = self._prompt_tokens
        _set(end, "input_logprobs", self._input)
        end.finish_reason = _REASONS.get(info.finish_reason, "error")
        match info.WhichOneof("stop_reason"):
            case "stop_token_id":
                end.matched_token_id = info.stop_token_id
            case "stop_string":
                end.matched_stop_str = info.stop_string
            case _:  # the model's own end is no match of anything that was asked for
                pass
        return pb.GenerateResponse(complete=end)

    def _read_prompt(self, info: vllm.PromptInfo) -> None:
        self._prompt_tokens = info.num_prompt_tokens
        for position, token_id in enumerate(info.token_ids):
            if position >= len(info.logprobs):
                return
            told = self._input.token_logprobs.add()
            if position:  # nothing comes before the first that could predict it
                told.value = info.logprobs[position]
            self._input.token_ids.append(token_id)
            if self._prompt_candidates:
                _add_top(self._input.top_logprobs.add(), info.candidate_tokens, position)

    def _output_logprobs(self, output: vllm.SequenceOutput) -> pb.OutputLogProbs:
        told = pb.OutputLogProbs()
        for position, (token_id, logprob) in enumerate(
            zip(output.token_ids, output.logprobs, strict=False)
        ):
            told.token_ids.append(token_id)
            told.token_logprobs.append(logprob)
            if self._candidates:
                _add_top(told.top_logprobs.add(), output.candidate_tokens, position)
        return told


def _add_top(
    top: pb.TopLogProbs, positions: Sequence[vllm.CandidateTokenInfo], position: int
) -> None:
    for token in positions[position].tokens if position < len(positions) else ():
        top.token_ids.append(token.id)
        top.values.append(token.logprob)


def _set(message: Message, field: str, value: pb.OutputLogProbs | pb.InputLogProbs | None) -> None:
    """Sets a field that has something to say."""
    if value is not None and value.token_ids:
        getattr(message, field).CopyFrom(value)
