"""Going on with a stream that began elsewhere: what is read, and that a counter counts on."""

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.resume import Resume, read_resume, split_prompt, undelivered
from tests.serving.conftest import ask, up_to
from tests.serving.test_inference import refusal, violated_field
from wire.spillway.v1.resume import RESUME_KEY, RESUME_TEXT_KEY
from wire.status import CallError
from wire.vllm.inference_pb2 import GenerateRequest, ResponseOptions, TokenIds

IDS = ResponseOptions(output_token_ids=True)


def resumed(chunks, prompt, cut, **fields):
    """The request and metadata that go on after so many chunks of one token each."""
    delivered = [token for chunk in chunks[:cut] for token in chunk.outputs.token_ids]
    text = "".join(chunk.outputs.text for chunk in chunks[:cut])
    request = GenerateRequest(
        token_ids=TokenIds(ids=[*prompt.encode(), *delivered]), response=IDS, **fields
    )
    return request, (
        (RESUME_KEY, str(len(delivered))),
        (RESUME_TEXT_KEY, str(len(text.encode()))),
    )


def outputs_of(chunks):
    """Text, tokens and end, however they are cut into chunks."""
    ids = [token for chunk in chunks for token in chunk.outputs.token_ids]
    text = "".join(chunk.outputs.text for chunk in chunks)
    return text, ids, chunks[-1].outputs.finish_info.finish_reason


@pytest.mark.parametrize("cut", [1, 2, 7, 11, 19])
async def test_a_stream_goes_on_where_it_was_cut(served, cut):
    """Both parts together are the undisturbed stream, and the prompt is told once."""
    prompt = "count from 97"
    whole = await served.stream(ask(prompt, response=IDS, stopping=up_to(20)))
    request, metadata = resumed(whole, prompt, cut, stopping=up_to(20 - cut))
    rest = await served.stream(request, metadata=metadata)
    assert outputs_of([*whole[:cut], *rest]) == outputs_of(whole)
    assert not any(chunk.HasField("prompt_info") for chunk in rest)


async def test_text_that_was_held_back_comes_first(served):
    """The client has three tokens and the text of one."""
    whole = await served.stream(ask("97", response=IDS, stopping=up_to(8)))
    request, metadata = resumed(whole, "97", 3, stopping=up_to(5))
    rest = await served.stream(request, metadata=(metadata[0], (RESUME_TEXT_KEY, "1")))
    assert outputs_of(rest)[0] == outputs_of(whole)[0][1:]


@pytest.mark.parametrize(
    ("key", "metadata"),
    [
        (RESUME_KEY, {RESUME_KEY: "2"}),
        (RESUME_KEY, {RESUME_KEY: "-1"}),
        (RESUME_KEY, {RESUME_KEY: "x"}),
        (RESUME_KEY, {RESUME_KEY: "9" * 30}),
        (RESUME_TEXT_KEY, {RESUME_KEY: "1", RESUME_TEXT_KEY: "2"}),
        (RESUME_TEXT_KEY, {RESUME_KEY: "1", RESUME_TEXT_KEY: "1.5"}),
        (RESUME_TEXT_KEY, {RESUME_TEXT_KEY: "1"}),
    ],
)
async def test_what_no_client_can_have_is_refused(served, key, metadata):
    """The error names the key, and nothing reaches the engine."""
    request = GenerateRequest(token_ids=TokenIds(ids=b"7 "))
    error = await refusal(served, request, metadata=tuple(metadata.items()))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert violated_field(error) == key


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        (RESUME_KEY, {"text": "7 8"}),
        ("truncate_prompt_tokens", {"truncate_prompt_tokens": 2}),
        ("sampling.num_sequences", {"sampling": {"num_sequences": 2}}),
        ("response.prompt_token_ids", {"response": {"prompt_token_ids": True}}),
        ("response.prompt_logprobs", {"response": {"prompt_logprobs": True}}),
    ],
)
async def test_what_cannot_go_on_is_refused(served, field, fields):
    request = GenerateRequest(
        **({} if "text" in fields else {"token_ids": {"ids": b"7 8"}}), **fields
    )
    error = await refusal(served, request, metadata=((RESUME_KEY, "1"),))
    assert violated_field(error) == field


async def test_prompt_delivered_and_new_tokens_fit_the_context_together(served):
    """The delivered tokens take their place in it."""
    request = GenerateRequest(token_ids=TokenIds(ids=b"7" * 32_767), stopping=up_to(2))
    error = await refusal(served, request, metadata=((RESUME_KEY, "30000"),))
    assert violated_field(error) == "stopping.max_new_tokens"


def test_no_token_delivered_is_no_resume():
    assert read_resume([("x-other", "1")]) is None
    assert read_resume([(RESUME_KEY, "0"), (RESUME_TEXT_KEY, "0")]) is None
    assert read_resume([(RESUME_KEY, "3")]) == Resume(3, None)


@given(st.lists(st.integers(0, 9), min_size=2), st.data())
def test_a_prompt_splits_into_what_it_was_and_what_was_delivered(ids, data):
    tokens = data.draw(st.integers(1, len(ids) - 1))
    prompt, delivered = split_prompt(ids, Resume(tokens, None))
    assert (prompt + delivered, len(delivered)) == (ids, tokens)


@given(st.text(), st.data())
def test_only_whole_characters_were_ever_sent(text, data):
    """What is left and what was given are the text; a cut inside a character is refused."""
    given_bytes = data.draw(st.integers(0, len(text.encode()) + 2))
    sent = {len(text[:end].encode()) for end in range(len(text) + 1)}
    if given_bytes in sent:
        assert undelivered(text, given_bytes) == text.encode()[given_bytes:].decode()
    else:
        with pytest.raises(CallError, match=RESUME_TEXT_KEY):
            undelivered(text, given_bytes)
