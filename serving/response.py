"""Writes what an engine put out as vllm.GenerateResponse."""

from collections.abc import Sequence

from serving.engine import Candidate, EngineOutput, Finish, FinishReason, PromptFacts
from serving.generation import Generation, Wanted
from wire.vllm import inference_pb2 as pb

_REASONS = {
    FinishReason.LENGTH: pb.FinishInfo.LENGTH,
    FinishReason.STOP: pb.FinishInfo.STOP,
    FinishReason.ABORTED: pb.FinishInfo.ABORTED,
}


class ResponseWriter:
    """The responses of one request, chunk by chunk.

    It counts what each sequence has put out, since the last chunk of a sequence states the total.
    """

    def __init__(self, generation: Generation) -> None:
        self._wanted = generation.wanted
        # The client has it from where the stream began.
        self._prompt_is_told = bool(generation.delivered)
        self._token_counts = [0] * generation.sampling.num_sequences

    @property
    def tokens(self) -> int:
        """Tokens put out so far, of all sequences."""
        return sum(self._token_counts)

    def write(self, output: EngineOutput) -> pb.GenerateResponse:
        """One chunk: prompt info where output has it, finish info where its sequence ends."""
        response = pb.GenerateResponse()
        sequence = response.outputs
        sequence.index = output.index
        sequence.num_tokens = len(output.token_ids)
        self._token_counts[output.index] += len(output.token_ids)
        wanted = self._wanted
        if wanted.output_text:
            sequence.text = output.text
        if wanted.output_token_ids:
            sequence.token_ids.extend(output.token_ids)
        if wanted.output_logprobs:
            sequence.logprobs.extend(output.logprobs)
            sequence.ranks.extend(output.ranks)
        for candidates in output.candidates:
            _write_candidates(sequence.candidate_tokens.add(), candidates)
        if output.finish is not None:
            _write_finish(sequence.finish_info, output.finish, self._token_counts[output.index])
        if output.prompt is not None and not self._prompt_is_told:
            _write_prompt(response.prompt_info, output.prompt, wanted)
        return response


def merge(chunks: Sequence[pb.GenerateResponse]) -> pb.GenerateResponse:
    """The chunks of one sequence as one response, as if it had come at once."""
    whole = pb.GenerateResponse()
    text = "".join(chunk.outputs.text for chunk in chunks)
    num_tokens = sum(chunk.outputs.num_tokens for chunk in chunks)
    for chunk in chunks:
        # Merging appends lists and overwrites numbers and strings.
        whole.MergeFrom(chunk)
    whole.outputs.text = text
    whole.outputs.num_tokens = num_tokens
    return whole


def _write_finish(info: pb.FinishInfo, finish: Finish, num_output_tokens: int) -> None:
    info.num_output_tokens = num_output_tokens
    info.finish_reason = _REASONS[finish.reason]
    if finish.stop_token_id is not None:
        info.stop_token_id = finish.stop_token_id
    elif finish.eos_token_id is not None:
        info.eos_token_id = finish.eos_token_id
    elif finish.stop_string is not None:
        info.stop_string = finish.stop_string


def _write_prompt(info: pb.PromptInfo, prompt: PromptFacts, wanted: Wanted) -> None:
    info.num_prompt_tokens = len(prompt.token_ids)
    if wanted.prompt_token_ids:
        info.token_ids.extend(prompt.token_ids)
    if wanted.prompt_logprobs:
        info.logprobs.extend(prompt.logprobs)
        info.ranks.extend(prompt.ranks)
    for candidates in prompt.candidates:
        _write_candidates(info.candidate_tokens.add(), candidates)


def _write_candidates(info: pb.CandidateTokenInfo, candidates: Sequence[Candidate]) -> None:
    for candidate in candidates:
        info.tokens.add(id=candidate.token_id, logprob=candidate.logprob, rank=candidate.rank)
