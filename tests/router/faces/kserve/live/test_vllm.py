"""Triton's own client on a router in front of vLLM: what only a real engine can show."""

import json

import grpc
import pytest

from serving.models.answers import answer, count_prompt
from serving.models.vocabulary import encode
from tests.router.faces.kserve.conftest import RefusedError, Triton
from wire.spillway.v1.load_pb2 import WatchLoadRequest
from wire.spillway.v1.load_pb2_grpc import LoadStub

pytestmark = [pytest.mark.live, pytest.mark.slow]

MODEL = "built-in"
TOKENS = 30
PROMPT = count_prompt(417)
RIGHT = answer(PROMPT, TOKENS).text


@pytest.fixture
def triton(program, local_fleet):
    """Triton's client of the local fleet's router."""
    return Triton(program, int(local_fleet.address.rpartition(":")[2]))


def asked(text=PROMPT, **sampling):
    """What the client is told to send."""
    told = json.dumps({"max_tokens": TOKENS, "temperature": 0} | sampling)
    inputs = {"text_input": text, "sampling_parameters": told, "exclude_input_in_output": True}
    return {"model_name": MODEL, "inputs": inputs}


async def test_whole_answers_are_the_model_s(triton):
    """With the counts and the scores of a real engine."""
    request = asked()
    flags = ("finish_reason", "cumulative_logprob", "num_input_tokens", "num_output_tokens")
    request["inputs"] |= {f"return_{name}": True for name in flags}
    whole = await triton.ask("infer", **request)
    assert whole["text_output"] == [RIGHT]
    assert (whole["finish_reason"], whole["num_output_tokens"]) == (["length"], [TOKENS])
    assert whole["num_input_tokens"] == [len(encode(PROMPT))]
    assert whole["cumulative_logprob"][0] < 0


async def test_streams_are_the_model_s(triton):
    """In pieces that make up the whole, several in one stream."""
    prompts = {str(number): count_prompt(number) for number in (7, 41, 417)}
    requests = []
    for name, prompt in prompts.items():
        one = asked(prompt)
        one["inputs"]["stream"] = True
        requests.append(one | {"request_id": name})
    answers = await triton.ask("stream", requests=requests)
    for name, prompt in prompts.items():
        pieces = [one for one in answers if one["id"] == name]
        assert "".join(one["text_output"][0] for one in pieces) == answer(prompt, TOKENS).text
        assert len(pieces) > 1
        assert [one["final"] for one in pieces] == [False] * (len(pieces) - 1) + [True]


async def test_an_answer_keeps_the_shape_and_the_end_it_is_told(triton):
    """A stop string, a choice, and several answers by chance, each with its own seed's luck."""
    stopped = await triton.ask("infer", **asked(stop=[" 420"]))
    assert stopped["text_output"] == [RIGHT.partition(" 420")[0]]
    assert stopped["finish_reason"] == ["stop"]
    shaped = await triton.ask("infer", **asked(structured_outputs={"choice": ["tea", "milk"]}))
    assert shaped["text_output"][0] in {"tea", "milk"}
    several = await triton.ask("infer", **asked(n=2, temperature=1.0, seed=7))
    assert len(several["text_output"]) == 2


async def test_a_server_says_what_it_serves(triton):
    """Ready, with the model of the fleet."""
    state = await triton.ask("state", model=MODEL)
    assert state == {"live": True, "ready": True, "model": True, "other": False, "version": False}
    described = await triton.ask("described", model=MODEL)
    assert described["model"]["name"] == MODEL
    assert MODEL in [one["name"] for one in described["index"]]


async def test_what_vllm_cannot_do_is_refused_by_its_name(triton):
    """INVALID_ARGUMENT, which the client shows as its own exception."""
    with pytest.raises(RefusedError) as caught:
        await triton.ask("infer", **asked(max_tokens=1_000_000))
    assert caught.value.status == "StatusCode.INVALID_ARGUMENT"
    assert "max_tokens" in str(caught.value)


async def test_a_client_that_goes_ends_its_request(triton, local_fleet):
    """In the engine, too."""
    long = asked(max_tokens=3_000)
    long["inputs"]["stream"] = True
    assert (await triton.ask("leave", **long))["text_output"]
    async with grpc.aio.insecure_channel(local_fleet.address) as channel:
        watch = LoadStub(channel).Watch(WatchLoadRequest(max_silence_ms=100))
        while (await watch.read()).running_requests:
            pass
        watch.cancel()
