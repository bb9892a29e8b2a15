"""Goes on with a stream as a router does, and reads streams however they are cut into chunks."""

from dataclasses import dataclass

from wire.spillway.v1.resume import RESUME_KEY, RESUME_TEXT_KEY
from wire.vllm import inference_pb2 as pb

DEFAULT_TOKENS = 20


def asked(**fields):
    """A request that tells all token ids, greedy unless told otherwise."""
    request = pb.GenerateRequest(**({"temperature": 0} | fields))
    request.response.output_token_ids = True
    request.response.prompt_token_ids = True
    return request


def go_on(request, chunks):
    """The request and the metadata for what follows these chunks of the answer to it."""
    got = read(chunks)
    rest = pb.GenerateRequest()
    rest.CopyFrom(request)
    rest.token_ids.ids[:] = [*chunks[0].prompt_info.token_ids, *got.token_ids]
    rest.truncate_prompt_tokens = 0
    limit = request.stopping.max_new_tokens or DEFAULT_TOKENS
    rest.stopping.max_new_tokens = limit - len(got.token_ids)
    rest.stopping.min_new_tokens = max(0, request.stopping.min_new_tokens - len(got.token_ids))
    for field in ("prompt_token_ids", "prompt_logprobs", "prompt_candidates"):
        rest.response.ClearField(field)
    text_bytes = len(got.text.encode())
    return rest, ((RESUME_KEY, str(len(got.token_ids))), (RESUME_TEXT_KEY, str(text_bytes)))


@dataclass(frozen=True)
class Read:
    """A stream, or a part of one."""

    text: str
    token_ids: list[int]
    logprobs: list[float]
    candidates: list[list[int]]
    ranks: list[int]
    finish: pb.FinishInfo

    @property
    def end(self):
        """Why it ended, without the number of tokens, which each part counts for itself."""
        finish = pb.FinishInfo()
        finish.CopyFrom(self.finish)
        finish.num_output_tokens = 0
        return finish


def read(chunks):
    """All that stands in the chunks of one sequence."""
    outputs = [chunk.outputs for chunk in chunks]
    return Read(
        text="".join(output.text for output in outputs),
        token_ids=[token for output in outputs for token in output.token_ids],
        logprobs=[logprob for output in outputs for logprob in output.logprobs],
        candidates=[
            [token.id for token in candidates.tokens]
            for output in outputs
            for candidates in output.candidate_tokens
        ],
        ranks=[rank for output in outputs for rank in output.ranks],
        finish=outputs[-1].finish_info,
    )


def cuts(chunks):
    """Where to cut a stream: after its first chunks, in its middle, before its last."""
    last = len(chunks) - 1
    return sorted({cut for cut in (1, 2, 3, last // 2, last - 1, last) if 0 < cut <= last})
