"""Reads vLLM's request outputs, in delta mode, as engine outputs.

It needs nothing of vLLM but the shape of its objects, which the protocols here state.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import grpc

from serving.engine import Candidate, EngineOutput, Finish, FinishReason, PromptFacts
from serving.generation import Candidates, Generation
from wire.status import failure


class Scored(Protocol):
    """vllm.logprobs.Logprob."""

    logprob: float
    rank: int | None


Position = Mapping[int, Scored]
"""The tokens that were scored at a position, the sampled one first."""


class Completion(Protocol):
    """vllm.outputs.CompletionOutput: what is new in one sequence."""

    index: int
    text: str
    token_ids: Sequence[int]
    logprobs: Sequence[Position] | None
    finish_reason: str | None
    stop_reason: int | str | None


class Output(Protocol):
    """vllm.outputs.RequestOutput."""

    prompt_token_ids: Sequence[int] | None
    prompt_logprobs: Sequence[Position | None] | None
    outputs: Sequence[Completion]


class OutputReader:
    """The outputs of one request, in order."""

    def __init__(self, generation: Generation, eos_token_id: int | None) -> None:
        self._wanted = generation.wanted
        self._eos_token_id = eos_token_id
        self._first = True

    def read(self, output: Output) -> list[EngineOutput]:
        """One output for each sequence that has something new.

        Raises CallError (INTERNAL) where the engine could not go on with the request.
        """
        return [self._sequence(output, completion) for completion in output.outputs]

    def _sequence(self, output: Output, completion: Completion) -> EngineOutput:
        prompt = self._prompt(output) if self._first else None
        self._first = False
        logprobs: list[float] = []
        ranks: list[int] = []
        candidates: list[list[Candidate]] = []
        for token_id, position in zip(
            completion.token_ids, completion.logprobs or (), strict=False
        ):
            logprobs.append(position[token_id].logprob)
            ranks.append(position[token_id].rank or 0)
            if self._wanted.output_candidates is not None:
                candidates.append(_candidates(position, self._wanted.output_candidates))
        return EngineOutput(
            index=completion.index,
            text=completion.text,
            token_ids=completion.token_ids,
            logprobs=logprobs,
            ranks=ranks,
            candidates=candidates,
            finish=self._finish(completion),
            prompt=prompt,
        )

    def _finish(self, completion: Completion) -> Finish | None:
        reason, stop = completion.finish_reason, completion.stop_reason
        if reason is None:
            return None
        if reason == "length":
            return Finish(FinishReason.LENGTH)
        if reason == "abort":
            return Finish(FinishReason.ABORTED)
        if reason == "error":
            raise failure(grpc.StatusCode.INTERNAL, "the engine could not finish the request")
        if isinstance(stop, str):
            return Finish(FinishReason.STOP, stop_string=stop)
        if isinstance(stop, int):
            return Finish(FinishReason.STOP, stop_token_id=stop)
        # No stop reason means the model's own end of sequence.
        return Finish(FinishReason.STOP, eos_token_id=self._eos_token_id)

    def _prompt(self, output: Output) -> PromptFacts:
        token_ids = output.prompt_token_ids or ()
        logprobs: list[float] = []
        ranks: list[int] = []
        candidates: list[list[Candidate]] = []
        for token_id, position in zip(token_ids, output.prompt_logprobs or (), strict=False):
            # The first token has nothing before it that could predict it.
            scored = position.get(token_id) if position else None
            logprobs.append(scored.logprob if scored else 0.0)
            ranks.append((scored.rank or 0) if scored else 0)
            if self._wanted.prompt_candidates is not None:
                candidates.append(_candidates(position or {}, self._wanted.prompt_candidates))
        return PromptFacts(token_ids, logprobs, ranks, candidates)


def _candidates(position: Position, wanted: Candidates) -> list[Candidate]:
    """The tokens that were asked for, likeliest first, or in the order they were asked for."""
    if wanted.token_ids:
        # vLLM numbers these from 1 in any order: their ranks are not known.
        return [
            Candidate(token_id, position[token_id].logprob, rank=0)
            for token_id in wanted.token_ids
            if token_id in position
        ]
    scored = [
        Candidate(token_id, entry.logprob, entry.rank or 0)
        for token_id, entry in position.items()
        if wanted.all or 0 < (entry.rank or 0) <= wanted.top_n
    ]
    return sorted(scored, key=lambda candidate: candidate.rank)
