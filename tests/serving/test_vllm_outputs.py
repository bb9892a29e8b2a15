"""Reading vLLM's outputs, by objects of their shape."""

from types import SimpleNamespace as Made

import pytest

from serving.engine import Candidate, Finish, FinishReason
from serving.request import read_request
from serving.vllm_outputs import OutputReader
from tests.serving.test_request import INFO
from wire.status import CallError
from wire.vllm import inference_pb2 as pb

EOS = 2


def reader(**response):
    request = pb.GenerateRequest(text="x", response=pb.ResponseOptions(**response))
    return OutputReader(read_request(request, INFO, ""), EOS)


def made(token_ids=(5,), logprobs=None, finish=None, stop=None, index=0, prompt_logprobs=None):
    completion = Made(
        index=index,
        text="t",
        token_ids=list(token_ids),
        logprobs=logprobs,
        finish_reason=finish,
        stop_reason=stop,
    )
    return Made(prompt_token_ids=[7, 8], prompt_logprobs=prompt_logprobs, outputs=[completion])


def scored(**ranks):
    """A position: token ids by name (t5=rank), each with the log-probability -rank."""
    return {int(name[1:]): Made(logprob=-float(rank), rank=rank) for name, rank in ranks.items()}


def test_the_prompt_is_in_the_first_output_only():
    outputs = reader()
    (first,) = outputs.read(made())
    (second,) = outputs.read(made())
    assert first.prompt.token_ids == [7, 8]
    assert second.prompt is None


@pytest.mark.parametrize(
    ("finish", "stop", "expected"),
    [
        (None, None, None),
        ("length", None, Finish(FinishReason.LENGTH)),
        ("abort", None, Finish(FinishReason.ABORTED)),
        ("stop", None, Finish(FinishReason.STOP, eos_token_id=EOS)),
        ("stop", 9, Finish(FinishReason.STOP, stop_token_id=9)),
        ("stop", "end", Finish(FinishReason.STOP, stop_string="end")),
    ],
)
def test_the_end_says_what_ended_it(finish, stop, expected):
    (output,) = reader().read(made(finish=finish, stop=stop))
    assert output.finish == expected


def test_an_engines_failure_is_no_end():
    with pytest.raises(CallError, match="INTERNAL"):
        reader().read(made(finish="error"))


def test_scores_of_sampled_tokens():
    (output,) = reader(output_logprobs=True).read(
        made(token_ids=(5, 6), logprobs=[scored(t5=3), scored(t6=1)])
    )
    assert (output.logprobs, output.ranks) == ([-3.0, -1.0], [3, 1])
    assert not output.candidates


def test_the_likeliest_candidates_come_without_an_unlikely_sample():
    """The sampled token comes first in vLLM's list, whatever its rank."""
    (output,) = reader(output_candidates=pb.CandidateTokens(top_n=2)).read(
        made(logprobs=[scored(t5=9, t1=1, t3=2)])
    )
    assert output.candidates == [[Candidate(1, -1.0, 1), Candidate(3, -2.0, 2)]]


def test_candidates_by_id_come_as_asked_and_without_rank():
    wanted = pb.CandidateTokens(token_ids=pb.TokenIds(ids=[3, 1]))
    (output,) = reader(output_candidates=wanted).read(made(logprobs=[scored(t5=9, t1=1, t3=2)]))
    assert output.candidates == [[Candidate(3, -2.0, 0), Candidate(1, -1.0, 0)]]


def test_prompt_scores_begin_with_nothing():
    """The first token of a prompt has no token before it."""
    (output,) = reader(prompt_logprobs=True, prompt_candidates=pb.CandidateTokens(top_n=1)).read(
        made(prompt_logprobs=[None, scored(t8=4, t2=1)])
    )
    assert (output.prompt.logprobs, output.prompt.ranks) == ([0.0, -4.0], [0, 4])
    assert output.prompt.candidates == [[], [Candidate(2, -1.0, 1)]]


def test_several_sequences_in_one_output():
    output = made()
    output.outputs.append(made(index=1).outputs[0])
    assert [part.index for part in reader().read(output)] == [0, 1]
