"""Answers of vllm.Inference in the messages of vLLM's engine API."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.engine import engine_pb2 as pb
from wire.engine.answer import Answer
from wire.vllm import inference_pb2 as vllm

STOP, LENGTH = vllm.FinishInfo.STOP, vllm.FinishInfo.LENGTH


def said(ids, index=0, finish=None, prompt=None, **fields):
    """A message with these tokens."""
    output = vllm.SequenceOutput(index=index, token_ids=ids, num_tokens=len(ids), **fields)
    made = vllm.GenerateResponse(outputs=output)
    if finish is not None:
        made.outputs.finish_info.CopyFrom(finish)
    if prompt is not None:
        made.prompt_info.CopyFrom(prompt)
    return made


def told(messages, *, stream=True, **params):
    """What becomes of messages."""
    request = pb.GenerateRequest(stream=stream, sampling_params=pb.SamplingParams(**params))
    answer = Answer(request)
    return [one for message in messages for one in answer.take(message)]


PROMPT = vllm.PromptInfo(num_prompt_tokens=3)
ENDED = vllm.FinishInfo(finish_reason=LENGTH, num_output_tokens=3)


def test_a_stream_has_chunks_and_an_end():
    """Each chunk has what is new, and the end the last of it again."""
    first, second, end = told([said([1, 2], prompt=PROMPT), said([3], finish=ENDED)])
    assert list(first.chunk.token_ids) == [1, 2]
    assert (first.chunk.prompt_tokens, first.chunk.completion_tokens) == (3, 2)
    assert list(second.chunk.token_ids) == [3]
    assert list(end.complete.output_ids) == [3]
    assert (end.complete.finish_reason, end.complete.prompt_tokens) == ("length", 3)


def test_a_whole_answer_is_its_end():
    """With all of it."""
    [end] = told([said([1, 2], prompt=PROMPT), said([3], finish=ENDED)], stream=False)
    assert list(end.complete.output_ids) == [1, 2, 3]
    assert (end.complete.completion_tokens, end.complete.prompt_tokens) == (3, 3)


def test_sequences_end_each_by_itself():
    """In the order in which they end."""
    messages = [
        said([1], index=0, prompt=PROMPT),
        said([2], index=1, finish=ENDED),
        said([3], index=0, finish=ENDED),
    ]
    ends = told(messages, stream=False)
    assert [(e.complete.index, list(e.complete.output_ids)) for e in ends] == [
        (1, [2]),
        (0, [1, 3]),
    ]


@pytest.mark.parametrize(
    ("finish", "reason", "matched"),
    [
        (vllm.FinishInfo(finish_reason=LENGTH), "length", None),
        (vllm.FinishInfo(finish_reason=STOP, eos_token_id=9), "stop", None),
        (vllm.FinishInfo(finish_reason=STOP, stop_token_id=9), "stop", "matched_token_id"),
        (vllm.FinishInfo(finish_reason=STOP, stop_string="x"), "stop", "matched_stop_str"),
        (vllm.FinishInfo(finish_reason=vllm.FinishInfo.ABORTED), "abort", None),
        (vllm.FinishInfo(), "error", None),
    ],
)
def test_an_end_says_why(finish, reason, matched):
    """And by what, where that was asked for."""
    end = told([said([1], finish=finish)])[-1].complete
    assert (end.finish_reason, end.WhichOneof("matched_stop")) == (reason, matched)


def test_scores_come_with_their_tokens():
    """Of the answer in each message, of the prompt in the first; its first token has none."""
    candidates = vllm.CandidateTokenInfo(
        tokens=[vllm.CandidateTokenInfo.TokenInfo(id=8, logprob=-0.5, rank=1)]
    )
    prompt = vllm.PromptInfo(
        num_prompt_tokens=2,
        token_ids=[5, 6],
        logprobs=[0.0, -2.0],
        candidate_tokens=[vllm.CandidateTokenInfo(), candidates],
    )
    messages = [
        said([8], logprobs=[-0.5], candidate_tokens=[candidates], prompt=prompt),
        said([7], logprobs=[-1.5], candidate_tokens=[candidates], finish=ENDED),
    ]
    first, second, end = told(messages, logprobs=1, prompt_logprobs=1)
    assert list(first.chunk.output_logprobs.token_logprobs) == [-0.5]
    assert list(first.chunk.output_logprobs.top_logprobs[0].token_ids) == [8]
    assert list(second.chunk.output_logprobs.token_ids) == [7]
    scored = first.chunk.input_logprobs
    assert list(scored.token_ids) == [5, 6]
    assert [one.HasField("value") for one in scored.token_logprobs] == [False, True]
    assert [len(top.token_ids) for top in scored.top_logprobs] == [0, 1]
    assert not second.chunk.HasField("input_logprobs")
    assert list(end.complete.output_logprobs.token_ids) == [7]
    [whole] = told(messages, stream=False, logprobs=0)
    assert list(whole.complete.output_logprobs.token_logprobs) == [-0.5, -1.5]
    assert not whole.complete.output_logprobs.top_logprobs


@given(
    pieces=st.lists(st.lists(st.integers(0, 1000), max_size=4), min_size=1, max_size=6),
    stream=st.booleans(),
)
def test_no_token_is_lost_or_repeated(pieces, stream):
    """However they come: what chunks say, or the end of a whole answer, is the answer."""
    messages = [said(ids) for ids in pieces[:-1]] + [said(pieces[-1], finish=ENDED)]
    got = told(messages, stream=stream)
    ids = [i for one in got if one.HasField("chunk") for i in one.chunk.token_ids]
    if not stream:
        ids = list(got[-1].complete.output_ids)
    assert ids == [i for piece in pieces for i in piece]
    assert [one.WhichOneof("response") for one in got].count("complete") == 1
