"""Triton's own client, unmodified, asks a router for whole answers and for streams."""

import json

import pytest

from router.faces.kserve.conversation import OPEN_MAX
from tests.router.faces.kserve.conftest import RefusedError
from tests.router.live.conftest import address, at_rest, engine, route
from tests.router.live.counting import counted_on, counts
from tests.router.live.scripted import scripted

TEN = json.dumps({"max_tokens": 10})
COUNTED = {"return_num_output_tokens": True}
BARE = {"exclude_input_in_output": True}


def asked(text="41", sampling=TEN, **inputs):
    """What the client is told to send."""
    return {"inputs": {"text_input": text, "sampling_parameters": sampling, **inputs}}


async def test_a_whole_answer_stands_behind_its_prompt_unless_that_is_excluded(triton):
    """As Triton's vLLM backend has it."""
    answer = await triton.ask("infer", **asked(), request_id="a")
    assert answer["text_output"] == ["41" + counted_on("41", 10)]
    assert answer["finish_reason"] == ["length"]
    assert (answer["id"], answer["model"]) == ("a", "fake")
    bare = await triton.ask("infer", **asked(**BARE))
    assert bare["text_output"] == [counted_on("41", 10)]


async def test_the_client_is_started_again_where_it_was_given_up(triton, monkeypatch):
    """One test that waits in vain is one failure."""
    await triton.ask("state", model="fake")
    with monkeypatch.context() as patched:
        patched.setattr("tests.router.faces.kserve.conftest.DEADLINE_S", 0.0)
        with pytest.raises(TimeoutError):
            await triton.ask("state", model="fake")
    assert (await triton.ask("state", model="fake"))["live"]


async def test_sampling_parameters_may_be_those_of_the_request(triton):
    """Without their tensor; and where nothing is said, sixteen tokens come."""
    bare = {"inputs": {"text_input": "41", **BARE}}
    assert (await triton.ask("infer", **bare))["text_output"] == [counted_on("41", 16)]
    parameters = {"max_tokens": "5", "temperature": "0.5"}
    answer = await triton.ask("infer", **bare, parameters=parameters)
    assert answer["text_output"] == [counted_on("41", 5)]


async def test_outputs_come_as_they_are_asked_for(triton):
    """By the flags of Triton's vLLM backend, or by name; each sequence has its own."""
    flags = ("finish_reason", "cumulative_logprob", "num_input_tokens", "num_output_tokens")
    wanted = {f"return_{name}": True for name in flags}
    two = json.dumps({"max_tokens": 10, "n": 2})
    answer = await triton.ask("infer", **asked(sampling=two, **BARE, **wanted))
    assert answer["text_output"] == [counted_on("41", 10)] * 2
    assert answer["finish_reason"] == ["length"] * 2
    assert answer["cumulative_logprob"] == [0.0, 0.0]
    assert (answer["num_input_tokens"], answer["num_output_tokens"]) == ([2], [10, 10])
    named = await triton.ask("infer", **asked(), outputs=["num_output_tokens"])
    assert named["num_output_tokens"] == [10]
    assert "text_output" not in named


async def test_a_stream_has_many_requests_and_their_answers(triton):
    """Each with the id of its request, in pieces, the last of them marked."""
    requests = [
        {**asked(str(number), stream=True, **COUNTED), "request_id": str(number)}
        for number in range(3)
    ]
    requests.append({**asked("9", stream=False), "request_id": "whole"})
    answers = await triton.ask("stream", requests=requests)
    for number in range(3):
        pieces = [answer for answer in answers if answer["id"] == str(number)]
        assert len(pieces) > 1
        text = "".join(piece["text_output"][0] for piece in pieces)
        assert text == counted_on(str(number), 10)
        assert [piece["final"] for piece in pieces] == [False] * (len(pieces) - 1) + [True]
        assert sum(piece["num_output_tokens"][0] for piece in pieces) == 10
        assert {piece["finish_reason"][0] for piece in pieces[:-1]} == {"None"}
    [whole] = [answer for answer in answers if answer["id"] == "whole"]
    assert whole["text_output"] == ["9" + counted_on("9", 10)]


async def test_a_stream_takes_more_requests_than_it_answers_at_a_time(triton):
    requests = [{**asked(stream=True), "request_id": str(n)} for n in range(OPEN_MAX + 20)]
    answers = await triton.ask("stream", requests=requests)
    assert sum(answer["final"] for answer in answers) == len(requests)


async def test_a_request_that_fails_leaves_the_others_of_its_stream_alone(triton):
    requests = [asked("", stream=True), {**asked(stream=True), "request_id": "good"}]
    answers = await triton.ask("stream", requests=requests)
    [failed] = [answer["error"] for answer in answers if "error" in answer]
    assert failed == "INVALID_ARGUMENT: text_input: must not be empty"
    good = [answer["text_output"][0] for answer in answers if answer.get("id") == "good"]
    assert "".join(good) == counted_on("41", 10)


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_goes_on_where_its_engine_breaks_off(triton_of, streamed):
    """Each token once: the answers of this face are streams of the router like any other."""
    async with scripted(counts(breaks_after=4)) as bad, engine(itl_s=0) as good:
        sites = {"home": [bad.address], "cloud": [address(good)]}
        async with route(sites) as routed:
            triton = triton_of(routed)
            sampling = json.dumps({"max_tokens": 20, "temperature": 0})
            request = asked(sampling=sampling, stream=streamed, **BARE)
            answers = await triton.ask("stream", requests=[request])
    assert "".join(one["text_output"][0] for one in answers) == counted_on("41", 20)
    assert len(bad.calls) == 1


async def test_a_client_that_goes_ends_its_requests(triton_of):
    async with (
        engine(itl_s=0.01) as server,
        route({"home": [address(server)]}) as routed,
    ):
        triton = triton_of(routed)
        sampling = json.dumps({"max_tokens": 30_000})
        first = await triton.ask("leave", **asked(sampling=sampling, stream=True))
        assert first["text_output"][0]
        await at_rest(routed, server)


async def test_a_sequence_is_a_session(triton, routed):
    """Whether a number or a name; a session that a header names goes before it."""
    await triton.ask("infer", **asked(), sequence_id=7)
    await triton.ask("infer", **asked(), sequence_id="seven", sequence_start=True)
    await triton.ask("infer", **asked(), sequence_id=7, headers={"x-session-id": "named"})
    await triton.ask("infer", **asked(), sequence_id=7, sequence_end=True)
    assert (await routed.state()).sessions == 3


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        (asked(sampling="{"), "INVALID_ARGUMENT", "sampling_parameters: is no JSON"),
        (asked(sampling="[]"), "INVALID_ARGUMENT", "sampling_parameters: must be"),
        (asked(sampling='{"n": 0}'), "INVALID_ARGUMENT", "n: is 0"),
        (asked(sampling='{"max_tokens": 0}'), "INVALID_ARGUMENT", "max_tokens: is 0"),
        (asked(sampling='{"max_tokens": 99999}'), "INVALID_ARGUMENT", "max_tokens: is 99999"),
        (asked(sampling='{"temperatur": 0}'), "INVALID_ARGUMENT", "temperatur: is not known"),
        (asked(sampling='{"best_of": 2}'), "INVALID_ARGUMENT", "best_of: must be n"),
        (asked(sampling='{"lora_name": "x"}'), "NOT_FOUND", "lora_name"),
        (asked(stream=True), "INVALID_ARGUMENT", "stream: must be false"),
        (asked(image="x"), "INVALID_ARGUMENT", "inputs: 'image' is no input here"),
        (asked() | {"outputs": ["logits"]}, "INVALID_ARGUMENT", "outputs: 'logits'"),
        (asked() | {"model_name": "other"}, "NOT_FOUND", "other"),
        (asked() | {"model_version": "2"}, "NOT_FOUND", "model_version: '2'"),
        (asked() | {"timeout": -1}, "INVALID_ARGUMENT", "timeout: must be"),
        ({"inputs": {"sampling_parameters": TEN}}, "INVALID_ARGUMENT", "text_input: is missing"),
    ],
)
async def test_what_cannot_be_asked_is_refused_by_its_name(triton, given, status, message):
    with pytest.raises(RefusedError) as caught:
        await triton.ask("infer", **given)
    assert caught.value.status == f"StatusCode.{status}"
    assert message in str(caught.value)


async def test_an_answer_ends_at_the_time_that_its_client_gave_it(triton_of):
    """In microseconds, as Triton has it."""
    async with (
        engine(itl_s=60.0) as server,
        route({"home": [address(server)]}) as routed,
    ):
        triton = triton_of(routed)
        with pytest.raises(RefusedError) as caught:
            await triton.ask("infer", **asked(), timeout=200_000)
    assert caught.value.status == "StatusCode.DEADLINE_EXCEEDED"


async def test_a_server_says_what_it_serves(triton_of):
    """Under each name; a model of another name or version is not ready."""
    async with (
        engine(served_names=("org/fake", "counter")) as server,
        route({"home": [address(server)]}) as routed,
    ):
        triton = triton_of(routed)
        state = await triton.ask("state", model="counter")
        assert [name for name, is_so in state.items() if is_so] == ["live", "ready", "model"]
        described = await triton.ask("described", model="org/fake")
        assert described["server"]["name"] == "spillway"
        inputs = {one["name"]: one["datatype"] for one in described["model"]["inputs"]}
        assert (inputs["text_input"], inputs["stream"]) == ("BYTES", "BOOL")
        assert described["config"]["model_transaction_policy"] == {"decoupled": True}
        required = [one["name"] for one in described["config"]["input"] if not one.get("optional")]
        assert required == ["text_input"]
        assert [model["name"] for model in described["index"]] == ["counter", "org/fake"]
        with pytest.raises(RefusedError, match="not served"):
            await triton.ask("described", model="other")


async def test_without_an_endpoint_a_server_lives_and_is_not_ready(triton_of):
    async with route({}) as routed:
        triton = triton_of(routed)
        state = await triton.ask("state", model="fake")
        assert (state["live"], state["ready"], state["model"]) == (True, False, False)
        with pytest.raises(RefusedError) as caught:
            await triton.ask("infer", **asked())
        assert caught.value.status == "StatusCode.UNAVAILABLE"
