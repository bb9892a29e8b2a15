"""What a stream yields, and the whole answer made of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from spillway.client.ending import Ending
from wire.vllm import inference_pb2 as pb


class FinishReason(Enum):
    """Why a sequence ended."""

    LENGTH = "length"  # max_new_tokens, or the model's context
    STOP = "stop"  # the model's end, a stop token or a stop string
    ABORTED = "aborted"


@dataclass(frozen=True, slots=True)
class Finish:
    """How a sequence ended; at most one of the three ways to stop is set."""

    reason: FinishReason
    num_output_tokens: int
    stop_token_id: int | None = None
    eos_token_id: int | None = None
    stop_string: str | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A token that was scored at a position."""

    id: int
    logprob: float
    rank: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the engine says of the prompt: its length, and what else was asked for."""

    num_tokens: int
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    ranks: tuple[int, ...] = ()
    candidates: tuple[tuple[Candidate, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of one sequence. What was not asked for is empty."""

    index: int  # of the sequence, where several were asked for
    text: str
    num_tokens: int
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    ranks: tuple[int, ...] = ()
    candidates: tuple[tuple[Candidate, ...], ...] = ()
    finish: Finish | None = None  # in the sequence's last chunk
    prompt: Prompt | None = None  # in the stream's first chunk


@dataclass(frozen=True, slots=True)
class Sequence:
    """One whole sequence."""

    text: str
    num_tokens: int
    token_ids: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    finish: Finish | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer: one sequence, or as many as were asked for."""

    sequences: tuple[Sequence, ...]
    prompt: Prompt | None
    ending: Ending

    @property
    def text(self) -> str:
        """The text of the first sequence."""
        return self.sequences[0].text if self.sequences else ""

    @property
    def num_tokens(self) -> int:
        """Of all sequences."""
        return sum(one.num_tokens for one in self.sequences)


def chunk_of(response: pb.GenerateResponse) -> Chunk:
    """A response as the client hands it on."""
    output = response.outputs
    return Chunk(
        index=output.index,
        text=output.text,
        num_tokens=output.num_tokens,
        token_ids=tuple(output.token_ids),
        logprobs=tuple(output.logprobs),
        ranks=tuple(output.ranks),
        candidates=_candidates(output.candidate_tokens),
        finish=_finish(output.finish_info) if output.HasField("finish_info") else None,
        prompt=_prompt(response.prompt_info) if response.HasField("prompt_info") else None,
    )


def answer_of(chunks: Iterable[Chunk], ending: Ending | None) -> Answer:
    """The chunks of a stream as one answer; a stream that was cancelled has no ending."""
    by_index: dict[int, list[Chunk]] = {}
    prompt = None
    for chunk in chunks:
        prompt = prompt or chunk.prompt
        by_index.setdefault(chunk.index, []).append(chunk)
    sequences = tuple(_joined(by_index[index]) for index in sorted(by_index))
    return Answer(sequences, prompt, ending or Ending())


def _joined(chunks: list[Chunk]) -> Sequence:
    return Sequence(
        text="".join(chunk.text for chunk in chunks),
        num_tokens=sum(chunk.num_tokens for chunk in chunks),
        token_ids=tuple(token for chunk in chunks for token in chunk.token_ids),
        logprobs=tuple(logprob for chunk in chunks for logprob in chunk.logprobs),
        finish=chunks[-1].finish,
    )


def _finish(info: pb.FinishInfo) -> Finish:
    reason = {
        pb.FinishInfo.LENGTH: FinishReason.LENGTH,
        pb.FinishInfo.STOP: FinishReason.STOP,
    }.get(info.finish_reason, FinishReason.ABORTED)
    stopped_by = info.WhichOneof("stop_reason")
    return Finish(
        reason,
        info.num_output_tokens,
        **({stopped_by: getattr(info, stopped_by)} if stopped_by else {}),
    )


def _prompt(info: pb.PromptInfo) -> Prompt:
    return Prompt(
        info.num_prompt_tokens,
        tuple(info.token_ids),
        tuple(info.logprobs),
        tuple(info.ranks),
        _candidates(info.candidate_tokens),
    )


def _candidates(infos: Iterable[pb.CandidateTokenInfo]) -> tuple[tuple[Candidate, ...], ...]:
    return tuple(
        tuple(Candidate(one.id, one.logprob, one.rank) for one in info.tokens) for info in infos
    )
