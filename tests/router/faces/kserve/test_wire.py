"""What Triton's client never sends: typed contents, and tensors that are none."""

import json

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.faces.kserve.request import SAMPLING_BYTES_MAX, Sampling, read_asked
from serving.request import NUM_SEQUENCES_MAX
from tests.router.live.counting import counted_on
from wire.kserve import inference_pb2 as pb
from wire.status import CallError

REFUSALS = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}


def request(raw=(), **inputs):
    """A request whose tensors have typed contents."""
    made = pb.ModelInferRequest(model_name="fake", id="1", raw_input_contents=raw)
    for name, value in inputs.items():
        kind = "BOOL" if isinstance(value, bool) else "BYTES"
        tensor = made.inputs.add(name=name, datatype=kind, shape=(1,))
        if not raw:
            contents = tensor.contents
            (contents.bool_contents if kind == "BOOL" else contents.bytes_contents).append(value)
    return made


async def refusal(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    return caught.value.details()


async def test_contents_may_stand_in_the_tensors_themselves(stub):
    """As KServe's protocol has it; Triton's client sends them behind."""
    call = stub.ModelInfer(request(text_input=b"41", exclude_input_in_output=True))
    answer = await call
    text = counted_on("41", 16).encode()
    assert answer.raw_output_contents[0] == len(text).to_bytes(4, "little") + text
    trailers = dict(await call.trailing_metadata())
    assert trailers["x-spillway-site"] == "home"


def two_elements():
    made = request(text_input=b"a")
    made.inputs[0].contents.bytes_contents.append(b"b")
    return made


def reshaped(*shape):
    made = request(text_input=b"a")
    made.inputs[0].shape[:] = shape
    return made


def twice():
    made = request(text_input=b"a")
    made.inputs.append(made.inputs[0])
    return made


HALF_SURROGATES = [
    r'{"lora_name": "\ud800"}',
    r'{"cache_salt": "\ud800"}',
    r'{"structured_outputs": {"regex": "\ud800"}}',
    r'{"structured_outputs": {"json": "\ud800"}}',
    r'{"structured_outputs": {"choice": ["a", "\ud800"]}}',
]
"""What Python reads of JSON, and no message carries."""


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (request(raw=[b"\x02\0\0\0a"], text_input=b""), "text_input: must have one element"),
        (request(raw=[b"\0"], text_input=b""), "text_input: must have one element"),
        (request(raw=[b"", b""], text_input=b""), "raw_input_contents: has 2 entries for 1"),
        (request(raw=[b"\0\0"], stream=True), "stream: must have one element"),
        (two_elements(), "text_input: must have one element"),
        (reshaped(2), "text_input: must be BYTES of the shape [1]"),
        (reshaped(), "text_input: must be BYTES of the shape [1]"),
        (twice(), "text_input: is there twice"),
        (request(text_input=b"\xff"), "text_input: is not valid UTF-8"),
        (
            request(text_input=b"a", sampling_parameters=b" " * (SAMPLING_BYTES_MAX + 1)),
            "sampling_parameters: has more than",
        ),
        (request(text_input=b"a", sampling_parameters=b"[" * 100_000), "is no JSON"),
        *(
            (request(text_input=b"a", sampling_parameters=sampling.encode()), "is no JSON")
            for sampling in HALF_SURROGATES
        ),
    ],
)
async def test_what_is_no_tensor_is_refused_by_its_name(stub, made, message):
    assert message in await refusal(stub.ModelInfer(made))


async def test_bytes_that_are_no_request_end_a_stream_behind_what_was_asked_before(routed):
    """The field is named; the request before it is answered."""
    conversation = routed.channel.stream_stream(
        "/inference.GRPCInferenceService/ModelStreamInfer",
        response_deserializer=pb.ModelStreamInferResponse.FromString,
    )()
    await conversation.write(request(text_input=b"41", stream=True).SerializeToString())
    await conversation.write(b"\x1a\x01\xff")
    text = ""
    with pytest.raises(grpc.aio.AioRpcError) as caught:  # noqa: PT012 - the error comes at its end
        async for answer in conversation:
            text += answer.infer_response.raw_output_contents[0][4:].decode()
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "id: is not valid UTF-8"
    assert text == counted_on("41", 16)


def test_no_more_sequences_are_asked_for_than_an_engine_makes():
    """Refused before something is kept of each: a number is all that it takes to ask for them."""

    def asking_for(count):
        sampling = json.dumps({"n": count}).encode()
        return read_asked(
            request(text_input=b"41", sampling_parameters=sampling), (), None, (), 10.0
        )

    assert asking_for(NUM_SEQUENCES_MAX).sequences == NUM_SEQUENCES_MAX
    for count in (NUM_SEQUENCES_MAX + 1, 2**31 - 1):
        with pytest.raises(CallError, match=f"n: is {count}, must be at most {NUM_SEQUENCES_MAX}"):
            asking_for(count)


async def test_a_request_that_the_router_fails_at_leaves_the_others_of_its_stream_alone(
    stub, monkeypatch, caplog
):
    """It ends with INTERNAL, as a call of its own would, and the log has why."""

    def breaks_at_one(asked, *others):
        if asked.id == "bad":
            raise RuntimeError("a defect")
        return read_asked(asked, *others)

    monkeypatch.setattr("router.faces.kserve.conversation.read_asked", breaks_at_one)
    bad, good = (request(text_input=b"41", exclude_input_in_output=True) for _ in range(2))
    bad.id = "bad"
    answers = {}
    async for answer in stub.ModelStreamInfer(iter([good, bad])):
        answers[answer.infer_response.id] = answer
    assert answers["bad"].error_message == "INTERNAL: the router failed at it"
    assert answers["bad"].infer_response.parameters["triton_final_response"].bool_param
    assert counted_on("41", 16).encode() in answers["1"].infer_response.raw_output_contents[0]
    assert "a defect" in caplog.text


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
SAMPLING = st.dictionaries(st.sampled_from(sorted(Sampling.model_fields)), VALUES, max_size=4)
PARAMETERS = st.one_of(
    st.builds(pb.InferParameter, int64_param=st.integers(-(2**63), 2**63 - 1)),
    st.builds(pb.InferParameter, double_param=st.floats()),
    st.builds(pb.InferParameter, string_param=st.text(max_size=8)),
    st.builds(pb.InferParameter, bool_param=st.booleans()),
    st.just(pb.InferParameter()),
)


@given(
    sampling=SAMPLING.map(json.dumps).map(str.encode) | st.binary(max_size=8),
    parameters=st.dictionaries(
        st.sampled_from(["sequence_id", "timeout", "priority", "triton_x", "n", "other"]),
        PARAMETERS,
        max_size=3,
    ),
    given_as_tensor=st.booleans(),
)
def test_any_parameters_are_a_request_or_refused(sampling, parameters, given_as_tensor):
    """With a reason, whatever they say."""
    tensors = {"sampling_parameters": sampling} if given_as_tensor else {}
    made = request(text_input=b"41", **tensors)
    for name, value in parameters.items():
        made.parameters[name].CopyFrom(value)
    asked = refused = None
    try:
        asked = read_asked(made, (), None, (), 10.0)
    except CallError as error:
        refused = error
    if asked is None:
        assert refused.code in REFUSALS
        assert refused.message
    else:
        assert asked.generation.stopping.max_new_tokens > 0
        assert 0 < asked.deadline_s <= 10.0
