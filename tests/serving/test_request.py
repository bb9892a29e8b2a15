"""Reading a GenerateRequest: every field is honoured or refused by its name."""

import math
from dataclasses import replace

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from serving.engine import EngineInfo
from serving.generation import Candidates, Structure, StructureKind
from serving.request import fit_to_context, read_request, truncated
from wire.status import CallError
from wire.vllm import inference_pb2 as pb

INFO = EngineInfo(
    version="0",
    model_id="m",
    served_names=("m", "alias"),
    attention_backend="none",
    max_model_len=100,
    vocab_size=50,
    eos_token_id=2,
    kv_block_size=16,
    total_kv_blocks=100,
    max_running_requests=8,
    max_batched_tokens=100,
    max_logprobs=20,
    lora_names=("adapter",),
)


def read(request, info=INFO, session_id=""):
    return read_request(request, info, session_id)


def refused_field(request, info=INFO):
    with pytest.raises(CallError) as caught:
        read(request, info)
    return field_of(caught.value)


def field_of(refusal):
    """The field that the details of a refusal name."""
    ((_, status),) = refusal.trailers
    detail = BadRequest()
    assert Status.FromString(status).details[0].Unpack(detail)
    return detail.field_violations[0].field


def test_absent_fields_mean_the_models_defaults():
    """Zero and absence never reach an engine as numbers to sample with."""
    generation = read(pb.GenerateRequest(text="x"))
    sampling = generation.sampling
    assert (sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p) == (None,) * 4
    assert (sampling.seed, sampling.num_sequences) == (None, 1)
    assert generation.decoding.repetition_penalty is None
    assert generation.stopping.max_new_tokens is None
    assert generation.wanted.output_text
    assert generation.wanted.skip_special_tokens
    assert len(generation.request_id) == 32


def test_every_field_arrives():
    """A request that sets everything comes out with everything set."""
    generation = read(
        pb.GenerateRequest(
            request_id="r",
            model="alias",
            token_ids=pb.TokenIds(ids=range(10)),
            temperature=0.0,
            sampling=pb.RandomSampling(top_k=5, top_p=0.5, min_p=0.25, seed=0),
            decoding=pb.DecodingParameters(
                presence_penalty=-1,
                frequency_penalty=2,
                repetition_penalty=1.5,
                logit_bias={3: -100},
                allowed_token_ids=[3, 4],
                choice=pb.DecodingParameters.StringChoices(choices=["a", "b"]),
            ),
            stopping=pb.StoppingCriteria(
                max_new_tokens=9,
                min_new_tokens=3,
                stop_token_ids=[7],
                stop_strings=["stop"],
                include_stop_strings=True,
                ignore_eos=True,
            ),
            response=pb.ResponseOptions(
                prompt_token_ids=True,
                prompt_logprobs=True,
                prompt_candidates=pb.CandidateTokens(top_n=3),
                output_text=False,
                output_token_ids=True,
                output_logprobs=True,
                output_candidates=pb.CandidateTokens(token_ids=pb.TokenIds(ids=[5, 6])),
                skip_special_tokens=False,
            ),
            kv=pb.KVCacheParameters(bypass_prefix_cache=True, cache_salt="salt"),
            truncate_prompt_tokens=4,
            priority=-3,
            session_id="field",
            lora_name="adapter",
        ),
        session_id="metadata",
    )
    assert list(generation.prompt) == [6, 7, 8, 9]
    assert (generation.request_id, generation.session_id) == ("r", "field")
    assert (generation.cache_salt, generation.bypass_prefix_cache) == ("salt", True)
    assert (generation.priority, generation.lora_name) == (-3, "adapter")
    sampling = generation.sampling
    assert (sampling.temperature, sampling.top_k, sampling.top_p, sampling.min_p) == (
        0,
        5,
        0.5,
        0.25,
    )
    assert sampling.seed == 0
    decoding = generation.decoding
    assert (decoding.presence_penalty, decoding.frequency_penalty) == (-1, 2)
    assert decoding.repetition_penalty == 1.5
    assert (decoding.logit_bias, decoding.allowed_token_ids) == ({3: -100}, [3, 4])
    assert decoding.structure == Structure(StructureKind.CHOICE, choices=["a", "b"])
    stopping = generation.stopping
    assert (stopping.max_new_tokens, stopping.min_new_tokens) == (9, 3)
    assert (stopping.stop_token_ids, stopping.stop_strings) == ([7], ["stop"])
    assert stopping.include_stop_strings
    assert stopping.ignore_eos
    wanted = generation.wanted
    assert wanted.prompt_candidates == Candidates(top_n=3)
    assert wanted.output_candidates == Candidates(token_ids=[5, 6])
    assert (wanted.output_text, wanted.skip_special_tokens) == (False, False)


def test_the_session_may_come_as_metadata():
    assert read(pb.GenerateRequest(text="x"), session_id="s").session_id == "s"


BAD = {
    "temperature": {"temperature": -0.1},
    "sampling.top_p": {"sampling": {"top_p": 1.5}},
    "sampling.min_p": {"sampling": {"min_p": -0.5}},
    "sampling.num_sequences": {"sampling": {"num_sequences": 129}},
    "decoding.presence_penalty": {"decoding": {"presence_penalty": 2.5}},
    "decoding.frequency_penalty": {"decoding": {"frequency_penalty": math.inf}},
    "decoding.repetition_penalty": {"decoding": {"repetition_penalty": -1}},
    "decoding.logit_bias": {"decoding": {"logit_bias": {50: 1}}},
    "decoding.logit_bias[3]": {"decoding": {"logit_bias": {3: math.nan}}},
    "decoding.allowed_token_ids": {"decoding": {"allowed_token_ids": [50]}},
    "decoding.json": {"decoding": {"json": " "}},
    "decoding.choice": {"decoding": {"choice": {"choices": []}}},
    "decoding.json_object": {"decoding": {"json_object": False}},
    "stopping.stop_token_ids": {"stopping": {"stop_token_ids": [50]}},
    "stopping.stop_strings": {"stopping": {"stop_strings": [""]}},
    "stopping.max_new_tokens": {"stopping": {"max_new_tokens": 100}},
    "response.prompt_candidates": {"response": {"prompt_candidates": {}}},
    "response.prompt_candidates.token_ids": {
        "response": {"prompt_candidates": {"token_ids": {"ids": [1]}}}
    },
    "response.output_candidates.top_n": {"response": {"output_candidates": {"top_n": 21}}},
    "response.output_candidates.token_ids": {
        "response": {"output_candidates": {"token_ids": {"ids": []}}}
    },
    "response.output_candidates.all": {"response": {"output_candidates": {"all": True}}},
    "kv.cache_salt": {"kv": {"cache_salt": "x" * 257}},
    "kv.kv_transfer_params": {"kv": {"kv_transfer_params": {}}},
    "request_id": {"request_id": "x" * 257},
    "session_id": {"session_id": "x" * 257},
    "media": {"media": [{}]},
}


@pytest.mark.parametrize("field", BAD)
def test_a_bad_value_is_refused_by_its_fields_name(field):
    assert refused_field(pb.GenerateRequest(text="x", **BAD[field])) == field


def test_the_prompt_is_one_of_two():
    """The wire allows one of both; none, and an empty one of either kind, is refused."""
    assert refused_field(pb.GenerateRequest()) == "prompt"
    assert refused_field(pb.GenerateRequest(text="")) == "text"
    assert refused_field(pb.GenerateRequest(token_ids=pb.TokenIds())) == "token_ids"
    assert refused_field(pb.GenerateRequest(token_ids=pb.TokenIds(ids=[50]))) == "token_ids"


def test_several_greedy_sequences_would_be_the_same():
    request = pb.GenerateRequest(text="x", temperature=0, sampling={"num_sequences": 2})
    assert refused_field(request) == "sampling.num_sequences"


def test_what_an_engine_cannot_do_is_refused():
    """Without a tokenizer there is no text; without priorities there is one order."""
    bare = replace(INFO, has_tokenizer=False, honours_priority=False)
    tokens = pb.TokenIds(ids=[1])
    assert not read(pb.GenerateRequest(token_ids=tokens), bare).wanted.output_text
    assert refused_field(pb.GenerateRequest(text="x"), bare) == "text"
    for field, value in {
        "priority": {"priority": 1},
        "response.output_text": {"response": {"output_text": True}},
        "stopping.stop_strings": {"stopping": {"stop_strings": ["x"]}},
        "decoding.regex": {"decoding": {"regex": "x"}},
    }.items():
        assert refused_field(pb.GenerateRequest(token_ids=tokens, **value), bare) == field


def test_all_candidates_may_be_had_where_the_engine_allows():
    request = pb.GenerateRequest(text="x", response={"output_candidates": {"all": True}})
    assert read(request, replace(INFO, max_logprobs=50)).wanted.output_candidates.all


@pytest.mark.parametrize(
    ("prompt_tokens", "stopping", "limit"),
    [(1, {}, 20), (95, {}, 5), (99, {}, 1), (50, {"max_new_tokens": 50}, 50)],
)
def test_what_fits_may_be_generated(prompt_tokens, stopping, limit):
    generation = read(pb.GenerateRequest(text="x", stopping=stopping))
    assert fit_to_context(generation, prompt_tokens, INFO) == limit


@pytest.mark.parametrize(
    ("prompt_tokens", "stopping", "field"),
    [
        (0, {}, "text"),
        (100, {}, "text"),
        (51, {"max_new_tokens": 50}, "stopping.max_new_tokens"),
        (95, {"min_new_tokens": 6}, "stopping.min_new_tokens"),
    ],
)
def test_what_does_not_fit_is_refused(prompt_tokens, stopping, field):
    generation = read(pb.GenerateRequest(text="x", stopping=stopping))
    with pytest.raises(CallError, match=field):
        fit_to_context(generation, prompt_tokens, INFO)


def test_truncation_keeps_the_end():
    generation = read(pb.GenerateRequest(text="x", truncate_prompt_tokens=2))
    assert truncated(generation, [1, 2, 3]) == [2, 3]
    assert truncated(generation, [1]) == [1]


FLOATS = st.floats(width=32)
SMALL = st.integers(0, 2**32 - 1) | st.integers(0, 60)


@st.composite
def requests(draw):
    """Requests in which any field has any value of its type."""
    request = pb.GenerateRequest()
    if draw(st.booleans()):
        request.text = draw(st.text(max_size=20))
    elif draw(st.booleans()):
        request.token_ids.ids.extend(draw(st.lists(SMALL, max_size=120)))
    if draw(st.booleans()):
        request.temperature = draw(FLOATS)
    sampling = request.sampling
    sampling.num_sequences, sampling.top_k = draw(SMALL), draw(SMALL)
    sampling.top_p, sampling.min_p = draw(FLOATS), draw(FLOATS)
    decoding = request.decoding
    decoding.presence_penalty, decoding.repetition_penalty = draw(FLOATS), draw(FLOATS)
    for token_id, bias in draw(st.dictionaries(SMALL, FLOATS, max_size=3)).items():
        decoding.logit_bias[token_id] = bias
    decoding.allowed_token_ids.extend(draw(st.lists(SMALL, max_size=3)))
    stopping = request.stopping
    stopping.max_new_tokens, stopping.min_new_tokens = draw(SMALL), draw(SMALL)
    stopping.stop_token_ids.extend(draw(st.lists(SMALL, max_size=3)))
    stopping.stop_strings.extend(draw(st.lists(st.text(max_size=3), max_size=3)))
    request.truncate_prompt_tokens = draw(SMALL)
    return request


def accepted_or_refused(request):
    """The generation, or None where the refusal is one that names a field."""
    refusal = None
    try:
        return read(request)
    except CallError as error:
        refusal = error
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert field_of(refusal)
    return None


@given(requests())
def test_a_request_is_sound_or_refused(request):
    """Whatever is accepted an engine can sample with, and whatever is not says why."""
    generation = accepted_or_refused(request)
    if generation is None:
        return
    sampling, decoding, stopping = generation.sampling, generation.decoding, generation.stopping
    assert sampling.temperature is None or 0 <= sampling.temperature <= 2
    assert sampling.top_p is None or 0 < sampling.top_p <= 1
    assert sampling.min_p is None or 0 < sampling.min_p <= 1
    assert sampling.top_k is None or 0 < sampling.top_k <= INFO.vocab_size
    assert 1 <= sampling.num_sequences <= 128
    assert -2 <= decoding.presence_penalty <= 2
    assert decoding.repetition_penalty is None or 0 < decoding.repetition_penalty < math.inf
    ids = [*decoding.logit_bias, *decoding.allowed_token_ids, *stopping.stop_token_ids]
    assert all(token_id < INFO.vocab_size for token_id in ids)
    assert all(math.isfinite(bias) for bias in decoding.logit_bias.values())
    assert all(stopping.stop_strings)
    if not isinstance(generation.prompt, str):
        length = len(generation.prompt)
        assert 0 < length + fit_to_context(generation, length, INFO) <= INFO.max_model_len
