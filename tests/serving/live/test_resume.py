"""For every feature of a request: a stream that is cut and goes on is the undisturbed stream.

A real engine of random weights says something of its own; what it says is cut after several numbers
of tokens, and the rest is asked for as a router does.
"""

import asyncio

import grpc
import pytest

from tests.serving.live.checkpoint import BOS, EOS, byte_tokenizer
from tests.serving.live.conftest import RUNNING_MAX, STEP_TOKENS
from tests.serving.resuming import asked, cuts, go_on, read
from wire.spillway.v1.resume import FEATURES, RESTORABLE, RESUME_KEY, Way
from wire.vllm.inference_pb2 import GenerateRequest

pytestmark = [pytest.mark.live]

TOKENIZER = byte_tokenizer()
A, B, C, D = (TOKENIZER.token_to_id(letter) for letter in "abcd")
EURO = TOKENIZER.encode("€").ids
PROMPT = "the quick brown fox jumps over the lazy dog, and over, and over again"
DRAWN = {"temperature": 1.0, "sampling": {"seed": 7}}
SCHEMA = '{"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}'
TAG = (
    '{"type": "structural_tag", "format": {"type": "tag", "begin": "<a>", '
    '"content": {"type": "regex", "pattern": "[0-9]{9}"}, "end": "</a>"}}'
)

CASES = {
    "identifiers": [{"request_id": "r", "model": "tiny", "session_id": "s", "priority": 3}],
    "prompt": [{"truncate_prompt_tokens": 9}, {"token_ids": {"ids": [BOS, A, B, C]}}],
    "sampling": [
        DRAWN,
        {"temperature": 0.8, "sampling": {"seed": 1, "top_k": 20, "top_p": 0.9, "min_p": 0.01}},
    ],
    "seed": [{"temperature": 1.5, "sampling": {"seed": seed}} for seed in (0, -1, 2**62)],
    "penalties": [
        {"decoding": {"presence_penalty": 1.5}},
        {"decoding": {"frequency_penalty": 0.7}},
        {"decoding": {"presence_penalty": -1.0, "frequency_penalty": 1.9}} | DRAWN,
    ],
    "repetition_penalty": [{"decoding": {"repetition_penalty": 1.4}}],
    "biases": [
        {"decoding": {"logit_bias": {A: 4.0, B: -4.0}}} | DRAWN,
        {"decoding": {"allowed_token_ids": [A, B, C, D]}} | DRAWN,
    ],
    "structured_output": [
        {"decoding": {"json": SCHEMA}} | DRAWN,
        {"decoding": {"regex": "(ab|cd){9}"}} | DRAWN,
        {"decoding": {"choice": {"choices": ["abcabcabc", "abcabdabd", "dddd"]}}} | DRAWN,
        {"decoding": {"grammar": 'root ::= "(" root ")" | "a" root "b" | "x"'}} | DRAWN,
        {"decoding": {"json_object": True}} | DRAWN,
        {"decoding": {"structural_tag": TAG}} | DRAWN,
    ],
    "limits": [
        {"stopping": {"max_new_tokens": 3}},
        {
            "decoding": {"allowed_token_ids": [A, B, EOS]},
            "stopping": {"max_new_tokens": 40, "min_new_tokens": 15},
        }
        | DRAWN,
    ],
    "stop_tokens": [
        {"decoding": {"allowed_token_ids": [A, B, C, D]}, "stopping": {"stop_token_ids": [D]}}
        | DRAWN,
        {"decoding": {"allowed_token_ids": [A, EOS]}, "stopping": {"ignore_eos": True}} | DRAWN,
        {"decoding": {"allowed_token_ids": [A, B, C, EOS]}} | DRAWN,
    ],
    "stop_strings": [
        {"decoding": {"regex": "abcdabcdab"}, "stopping": {"stop_strings": ["cdabcda", "zzzzzz"]}},
        {
            "decoding": {"regex": "abcdabcdab"},
            "stopping": {"stop_strings": ["dabcd"], "include_stop_strings": True},
        },
        {
            "decoding": {"regex": "abababababab"},
            "stopping": {"stop_strings": ["aba"], "min_new_tokens": 5},
        },
        {"decoding": {"regex": "abcdabcd"}, "stopping": {"stop_strings": ["never this"]}},
    ],
    "text": [
        {"decoding": {"allowed_token_ids": EURO}} | DRAWN,
        {"decoding": {"regex": "€a€€b🐟ü渡"}},
        {"response": {"output_text": False}},
        {
            "decoding": {"allowed_token_ids": [A, BOS]},
            "response": {"skip_special_tokens": False},
        }
        | DRAWN,
    ],
    "tokens": [{}],
    "logprobs": [
        {"response": {"output_logprobs": True, "output_candidates": {"top_n": 3}}},
        {"response": {"output_candidates": {"token_ids": {"ids": [C, A]}}}},
        {"response": {"output_logprobs": True}, "decoding": {"presence_penalty": 1.0}} | DRAWN,
    ],
    "prompt_info": [
        {"response": {"prompt_logprobs": True, "prompt_candidates": {"top_n": 2}}},
    ],
    "cache": [
        {"kv": {"bypass_prefix_cache": True}},
        {"kv": {"cache_salt": "pepper"}} | DRAWN,
    ],
    "adapter": [{"lora_name": "poet"} | DRAWN],
}
"""For each feature that goes on: requests that use it, and that say more than one token."""


def test_every_feature_that_goes_on_is_tried():
    going_on = {f.name for f in FEATURES if f.way in {Way.CONTINUE, Way.RESTORE}}
    assert set(CASES) == going_on


@pytest.mark.parametrize(
    ("feature", "fields"),
    [(feature, fields) for feature, cases in CASES.items() for fields in cases],
    ids=[f"{feature}-{n}" for feature, cases in CASES.items() for n, _ in enumerate(cases)],
)
async def test_a_cut_stream_is_the_undisturbed_one(live, feature, fields):
    """Token by token and character by character, with the same end and the same scores."""
    prompt = {} if "token_ids" in fields else {"text": PROMPT}
    request = asked(**prompt, **fields)
    chunks = await live.call(request)
    whole = read(chunks)
    assert len(whole.token_ids) > 1
    for cut in cuts(chunks):
        rest = await live.call(*go_on(request, chunks[:cut]))
        both = read([*chunks[:cut], *rest])
        assert both.token_ids == whole.token_ids, cut
        assert (both.text, both.end) == (whole.text, whole.end), cut
        assert (both.candidates, both.ranks) == (whole.candidates, whole.ranks), cut
        assert both.logprobs == pytest.approx(whole.logprobs, abs=1e-3), cut
        assert not any(chunk.HasField("prompt_info") for chunk in rest)


async def test_a_prompt_in_several_steps_leaves_the_draws_as_they_are(live):
    """VLLM draws a token for each step and takes it back; the engine survives it."""
    request = asked(text=PROMPT * (3 * STEP_TOKENS // len(PROMPT)), **DRAWN)
    chunks = await live.call(request)
    for cut in cuts(chunks):
        salted, metadata = go_on(request, chunks[:cut])
        salted.kv.cache_salt = str(cut)  # or else the prompt is cached, and one step enough
        assert read([*chunks[:cut], *await live.call(salted, metadata)]).end == read(chunks).end
        rest = await live.call(salted, metadata)
        assert read([*chunks[:cut], *rest]).token_ids == read(chunks).token_ids


async def test_the_engine_says_that_it_restores_everything(live):
    """It is told to each watcher, with digests that are not empty."""
    identity = (await live.report()).identity
    assert set(identity.restores) == set(RESTORABLE)
    assert identity.weights_digest
    assert identity.tokenizer_digest
    assert identity.numerics_digest
    assert identity.adapters["poet"]


async def test_a_stream_may_go_on_many_times(live):
    """Each part is cut again after a few tokens, drawn and penalised."""
    request = asked(text=PROMPT, stopping={"max_new_tokens": 30}, **DRAWN)
    request.decoding.presence_penalty = 1.0
    chunks = await live.call(request)
    got = chunks[:1]
    while not got[-1].outputs.HasField("finish_info"):
        rest = await live.call(*go_on(request, got))
        got += rest[:3]
    assert read(got).token_ids == read(chunks).token_ids
    assert read(got).text == read(chunks).text


async def test_a_draw_without_a_seed_goes_on_as_some_valid_stream(live):
    """Of the same length, since nothing but the limit ends it."""
    request = asked(text=PROMPT, temperature=1.0, stopping={"ignore_eos": True})
    chunks = await live.call(request)
    rest = read(await live.call(*go_on(request, chunks[:1])))
    assert len(rest.token_ids) == len(read(chunks[1:]).token_ids)


async def test_what_no_grammar_allows_cannot_go_on(live):
    """The engine refuses the request and lives."""
    request = GenerateRequest(token_ids={"ids": [A, B, C]}, decoding={"regex": "(ab)*"})
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await live.call(request, ((RESUME_KEY, "1"),))
    assert caught.value.code() == grpc.StatusCode.INTERNAL
    assert await live.stream(text=PROMPT)


async def test_streams_that_go_on_disturb_no_other(live):
    """A batch of both kinds, and the cache that both leave, change nobody's tokens."""
    request = asked(text=PROMPT, **DRAWN)
    chunks = await live.call(request)
    before_last = range(1, len(chunks))
    parts = (go_on(request, chunks[:cut]) for cut in before_last)
    again = await live.together(*parts, (request,))
    for cut, rest in zip(before_last, again[:-1], strict=True):
        assert read([*chunks[:cut], *rest]).token_ids == read(chunks).token_ids
    assert read(again[-1]).token_ids == read(chunks).token_ids


async def test_a_stream_that_goes_on_waits_for_no_new_one(live):
    """Where the engine is full, it gets the first place that becomes free."""
    request = asked(text=PROMPT)
    chunks = await live.call(request)
    began = []

    async def run(name, request, metadata=()):
        call = live.inference.GenerateStream(request, metadata=metadata)
        async for _ in call:
            if name not in began:
                began.append(name)

    async with asyncio.TaskGroup() as streams:
        for n in range(RUNNING_MAX):
            limit = {"max_new_tokens": 100 + 10 * n, "ignore_eos": True}
            streams.create_task(run("running", asked(text=f"{n} {PROMPT}", stopping=limit)))
        await live.report_where(lambda report: report.running_requests == RUNNING_MAX)
        for n in range(4):
            streams.create_task(run("new", asked(text=f"{n} {PROMPT}")))
        await live.report_where(lambda report: report.waiting_requests == 4)
        streams.create_task(run("resumed", *go_on(request, chunks[:1])))
    assert began == ["running", "resumed", "new"]
