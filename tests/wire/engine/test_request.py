"""Requests of vLLM's engine API, as those of vllm.Inference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.engine import engine_pb2 as pb
from wire.engine.request import read_generate, renamed
from wire.malformed import Malformed, read
from wire.status import CallError, bad_field, violation_of

CONTEXT = 100


def asked(ids=(1, 2, 3), **params):
    """A request for what follows these tokens."""
    return pb.GenerateRequest(
        request_id="r1",
        tokenized=pb.TokenizedInput(input_ids=ids),
        sampling_params=pb.SamplingParams(**params),
    )


def field_of(request, context=CONTEXT):
    """The field by which a request is refused."""
    with pytest.raises(CallError) as caught:
        read_generate(request, context)
    return violation_of(caught.value).field


def test_every_parameter_arrives():
    """Each in its place; the answer is wanted in token ids."""
    made = read_generate(
        asked(
            temperature=0.5,
            top_p=0.9,
            top_k=40,
            min_p=0.1,
            frequency_penalty=0.2,
            presence_penalty=0.3,
            repetition_penalty=1.1,
            max_tokens=7,
            min_tokens=2,
            stop=["x"],
            stop_token_ids=[5],
            skip_special_tokens=True,
            ignore_eos=True,
            n=3,
            seed=-4,
            include_stop_str_in_output=True,
            logit_bias={9: -1.5},
            truncate_prompt_tokens=2,
            regex="a+",
        ),
        CONTEXT,
        "model",
    )
    assert (made.request_id, made.model, list(made.token_ids.ids)) == ("r1", "model", [1, 2, 3])
    assert made.temperature == 0.5
    sampling, decoding, stopping = made.sampling, made.decoding, made.stopping
    assert (sampling.num_sequences, sampling.top_k, sampling.seed) == (3, 40, -4)
    assert (sampling.top_p, sampling.min_p) == pytest.approx((0.9, 0.1))
    penalties = (decoding.frequency_penalty, decoding.presence_penalty, decoding.repetition_penalty)
    assert penalties == pytest.approx((0.2, 0.3, 1.1))
    assert (dict(decoding.logit_bias), decoding.regex) == ({9: -1.5}, "a+")
    assert (stopping.max_new_tokens, stopping.min_new_tokens) == (7, 2)
    assert (list(stopping.stop_strings), list(stopping.stop_token_ids)) == (["x"], [5])
    assert stopping.include_stop_strings
    assert stopping.ignore_eos
    assert made.truncate_prompt_tokens == 2
    assert made.response.output_token_ids
    assert not made.response.output_text


def test_without_a_temperature_it_is_the_model_s_own():
    """And without a seed there is none: 0 would be one."""
    made = read_generate(asked(), CONTEXT)
    assert not made.HasField("temperature")
    assert not made.sampling.HasField("seed")
    assert read_generate(asked(temperature=0.0), CONTEXT).HasField("temperature")


@pytest.mark.parametrize(
    ("constraint", "field"),
    [
        ({"json_schema": "{}"}, "json"),
        ({"regex": "a"}, "regex"),
        ({"grammar": "root ::= 'a'"}, "grammar"),
        ({"structural_tag": "{}"}, "structural_tag"),
        ({"json_object": True}, "json_object"),
        ({"choice": pb.ChoiceConstraint(choices=["a", "b"])}, "choice"),
    ],
)
def test_every_shape_arrives(constraint, field):
    """By its name there, with what it says."""
    decoding = read_generate(asked(**constraint), CONTEXT).decoding
    assert decoding.WhichOneof("structured_output") == field
    if field == "choice":
        assert list(decoding.choice.choices) == ["a", "b"]
    else:
        assert getattr(decoding, field) == next(iter(constraint.values()))


def test_without_a_limit_an_answer_has_what_fits():
    """Behind the prompt, or what is kept of it; a prompt that does not fit is for others to say."""
    assert read_generate(asked(), CONTEXT).stopping.max_new_tokens == 97
    assert read_generate(asked(truncate_prompt_tokens=1), CONTEXT).stopping.max_new_tokens == 99
    assert read_generate(asked(range(200)), CONTEXT).stopping.max_new_tokens == 1


def test_a_prompt_is_cut_to_what_fits_where_that_is_asked_for():
    """With the answer behind it."""
    made = read_generate(asked(truncate_prompt_tokens=-1, max_tokens=10), CONTEXT)
    assert made.truncate_prompt_tokens == 90


def test_scores_are_asked_for_as_many_as_there_are_to_be():
    """0 is the chosen token's alone, -1 all of them."""
    none = read_generate(asked(), CONTEXT).response
    assert not none.output_logprobs
    assert not none.prompt_logprobs
    bare = read_generate(asked(logprobs=0, prompt_logprobs=0), CONTEXT).response
    assert bare.output_logprobs
    assert bare.prompt_logprobs
    assert bare.prompt_token_ids
    assert not bare.HasField("output_candidates")
    assert not bare.HasField("prompt_candidates")
    some = read_generate(asked(logprobs=2, prompt_logprobs=-1), CONTEXT).response
    assert some.output_candidates.top_n == 2
    assert some.prompt_candidates.all


@pytest.mark.parametrize(
    ("request_", "context", "field"),
    [
        (pb.GenerateRequest(), CONTEXT, "input"),
        (pb.GenerateRequest(text="a"), CONTEXT, "sampling_params.max_tokens"),
        (asked(), 0, "sampling_params.max_tokens"),
        (asked(max_tokens=0), CONTEXT, "sampling_params.max_tokens"),
        (asked(logprobs=-2), CONTEXT, "sampling_params.logprobs"),
        (asked(prompt_logprobs=-2), CONTEXT, "sampling_params.prompt_logprobs"),
        (asked(truncate_prompt_tokens=0), CONTEXT, "sampling_params.truncate_prompt_tokens"),
        (asked(truncate_prompt_tokens=-1), 0, "sampling_params.truncate_prompt_tokens"),
        (asked(logit_bias={-1: 1.0}), CONTEXT, "sampling_params.logit_bias"),
        (pb.GenerateRequest(mm_inputs=pb.MultimodalInputs()), CONTEXT, "mm_inputs"),
        (
            pb.GenerateRequest(extra_mm_inputs=[pb.MultimodalInputs()]),
            CONTEXT,
            "extra_mm_inputs",
        ),
        (pb.GenerateRequest(media_refs=pb.MediaRefs()), CONTEXT, "media_refs"),
        (pb.GenerateRequest(kv_transfer_params_json=""), CONTEXT, "kv_transfer_params_json"),
        (pb.GenerateRequest(data_parallel_rank=1), CONTEXT, "data_parallel_rank"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_its_name(request_, context, field):
    """And never left out."""
    assert field_of(request_, context) == field


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("stopping.max_new_tokens", "sampling_params.max_tokens"),
        ("stopping.stop_token_ids", "sampling_params.stop_token_ids"),
        ("sampling.top_p", "sampling_params.top_p"),
        ("decoding.json", "sampling_params.json_schema"),
        ("decoding.json_object", "sampling_params.json_object"),
        ("response.output_candidates.top_n", "sampling_params.logprobs"),
        ("token_ids", "tokenized.input_ids"),
        ("text", "text"),
        ("request_id", "request_id"),
    ],
)
def test_what_is_refused_elsewhere_has_its_name_here(there, here):
    """So that whoever asked can find it."""
    error = renamed(bad_field(there, "is wrong"))
    assert violation_of(error).field == here
    assert error.message == f"{here}: is wrong"


@given(raw=st.binary(max_size=200), context=st.sampled_from([0, 1, CONTEXT]))
def test_any_bytes_are_a_request_or_refused(raw, context):
    """Nothing else is raised, and what is made can be sent."""
    message = read(pb.GenerateRequest, raw)
    if isinstance(message, Malformed):
        return
    try:
        made = read_generate(message, context)
    except CallError:
        return
    assert made.stopping.max_new_tokens > 0
    assert made.SerializeToString() is not None
