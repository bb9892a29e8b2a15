"""Every field of a request, as a real vLLM engine understands it.

The model has random weights, so that what it says is forced, or compared with what it says without
the field.
"""

import asyncio
import json
import re

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest
from grpc_status import rpc_status

from tests.serving.live.checkpoint import BOS, CONTEXT, EOS, byte_tokenizer
from tests.waiting import DEADLINE_S
from wire.spillway.v1.prefix import token_blocks
from wire.vllm import control_pb2, inference_pb2

pytestmark = [pytest.mark.live]

TOKENIZER = byte_tokenizer()
A, B, C = (TOKENIZER.token_to_id(letter) for letter in "abc")
PROMPT = "the quick brown fox"


def text_of(chunks):
    return "".join(chunk.outputs.text for chunk in chunks)


def ids_of(chunks):
    return [token_id for chunk in chunks for token_id in chunk.outputs.token_ids]


def finish_of(chunks):
    return chunks[-1].outputs.finish_info


def up_to(max_new_tokens, **fields):
    return inference_pb2.StoppingCriteria(max_new_tokens=max_new_tokens, **fields)


def only(*token_ids):
    """Forces these tokens."""
    return inference_pb2.DecodingParameters(allowed_token_ids=token_ids)


IDS = inference_pb2.ResponseOptions(output_token_ids=True, prompt_token_ids=True)


async def refused_field(live, **fields):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await live.stream(**fields)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    detail = BadRequest()
    assert rpc_status.from_call(caught.value).details[0].Unpack(detail)
    return detail.field_violations[0].field


async def test_text_and_its_token_ids_are_the_same_prompt(live):
    by_text = await live.stream(text=PROMPT, response=IDS)
    token_ids = TOKENIZER.encode(PROMPT).ids
    assert list(by_text[0].prompt_info.token_ids) == token_ids
    by_ids = await live.stream(token_ids=inference_pb2.TokenIds(ids=token_ids), response=IDS)
    assert ids_of(by_ids) == ids_of(by_text)
    assert text_of(by_ids) == text_of(by_text)
    assert len(ids_of(by_text)) == 20
    whole = await live.inference.Generate(
        inference_pb2.GenerateRequest(text=PROMPT, temperature=0, response=IDS)
    )
    assert list(whole.outputs.token_ids) == ids_of(by_text)
    assert whole.outputs.finish_info == finish_of(by_text)


async def test_truncation_keeps_the_prompts_end(live):
    cut = await live.stream(text=PROMPT, truncate_prompt_tokens=3, response=IDS)
    whole = await live.stream(text=PROMPT[-3:], response=IDS)
    assert cut[0].prompt_info == whole[0].prompt_info
    assert ids_of(cut) == ids_of(whole)


async def test_a_narrow_choice_of_tokens_is_greedy(live):
    """Top-k 1, a tiny top-p and min-p 1 each leave the likeliest token alone, at any heat."""
    greedy = ids_of(await live.stream(text=PROMPT, response=IDS))
    for sampling in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}):
        chunks = await live.stream(text=PROMPT, temperature=2.0, sampling=sampling, response=IDS)
        assert ids_of(chunks) == greedy


async def test_a_seed_repeats_and_others_differ(live):
    """Any 64-bit number is a seed, -1 and 0 among them."""

    async def sampled(seed):
        sampling = inference_pb2.RandomSampling(seed=seed)
        return ids_of(
            await live.stream(text=PROMPT, temperature=1, sampling=sampling, response=IDS)
        )

    for seed in (0, -1, 2**62):
        assert await sampled(seed) == await sampled(seed)
    assert await sampled(1) != await sampled(2)


async def test_sequences_of_one_request_differ(live):
    sampling = inference_pb2.RandomSampling(num_sequences=3, seed=7)
    chunks = await live.stream(text=PROMPT, temperature=1, sampling=sampling, response=IDS)
    answers = [
        ids_of(chunk for chunk in chunks if chunk.outputs.index == index) for index in range(3)
    ]
    assert [len(answer) for answer in answers] == [20, 20, 20]
    assert answers[0] != answers[1]
    assert sum(chunk.HasField("prompt_info") for chunk in chunks) == 1
    assert sum(chunk.outputs.HasField("finish_info") for chunk in chunks) == 3


async def test_bias_and_bans(live):
    biased = await live.stream(text=PROMPT, decoding={"logit_bias": {A: 100}}, stopping=up_to(4))
    assert text_of(biased) == "aaaa"
    assert text_of(await live.stream(text=PROMPT, decoding=only(B), stopping=up_to(3))) == "bbb"


@pytest.mark.parametrize(
    "penalty", [{"presence_penalty": 2}, {"frequency_penalty": 2}, {"repetition_penalty": 1.9}]
)
async def test_penalties_change_what_is_said(live, penalty):
    """A greedy model without a mind repeats itself, until that is penalised."""
    plain = await live.stream(text=PROMPT, stopping=up_to(48), response=IDS)
    fined = await live.stream(text=PROMPT, stopping=up_to(48), response=IDS, decoding=penalty)
    assert len(set(ids_of(fined))) > len(set(ids_of(plain)))


async def test_stop_strings_end_a_stream(live):
    """They are cut off unless asked for, and looked for even where no text is wanted."""
    for include, expected in ((False, ""), (True, "aaa")):
        stopping = up_to(9, stop_strings=["aaa"], include_stop_strings=include)
        chunks = await live.stream(text=PROMPT, decoding=only(A), stopping=stopping)
        assert text_of(chunks) == expected
        assert finish_of(chunks).finish_reason == inference_pb2.FinishInfo.STOP
        assert finish_of(chunks).stop_string == "aaa"
        assert finish_of(chunks).num_output_tokens == 3
    silent = inference_pb2.ResponseOptions(output_text=False)
    chunks = await live.stream(
        text=PROMPT, decoding=only(A), stopping=up_to(9, stop_strings=["aa"]), response=silent
    )
    assert finish_of(chunks).stop_string == "aa"
    assert text_of(chunks) == ""


async def test_stop_tokens_and_the_end_of_sequence(live):
    stopped = await live.stream(
        text=PROMPT, decoding=only(C), stopping=up_to(9, stop_token_ids=[C])
    )
    assert finish_of(stopped).stop_token_id == C
    ended = await live.stream(text=PROMPT, decoding=only(EOS), stopping=up_to(9))
    assert (finish_of(ended).eos_token_id, finish_of(ended).num_output_tokens) == (EOS, 1)
    ignored = await live.stream(text=PROMPT, decoding=only(EOS), stopping=up_to(9, ignore_eos=True))
    assert finish_of(ignored).finish_reason == inference_pb2.FinishInfo.LENGTH
    assert finish_of(ignored).num_output_tokens == 9
    late = await live.stream(
        text=PROMPT,
        decoding={"allowed_token_ids": [EOS, A], "logit_bias": {EOS: 50}},
        stopping=up_to(9, min_new_tokens=4),
    )
    assert finish_of(late).num_output_tokens == 5


async def test_special_tokens_are_text_only_where_asked_for(live):
    for skip, expected in ((True, ""), (False, "<s><s>")):
        response = inference_pb2.ResponseOptions(skip_special_tokens=skip)
        chunks = await live.stream(
            text=PROMPT, decoding=only(BOS), stopping=up_to(2), response=response
        )
        assert text_of(chunks) == expected


SCHEMA = {"type": "object", "properties": {"n": {"enum": [7]}}, "required": ["n"]}
TAG = {
    "structures": [{"begin": "<f>", "schema": SCHEMA, "end": "</f>"}],
    "triggers": ["<f>"],
}


@pytest.mark.parametrize(
    ("decoding", "accepts"),
    [
        ({"json": json.dumps(SCHEMA)}, re.compile(r'\{\s*"n"').match),
        ({"regex": "x{3}y"}, re.compile("xxxy$").match),
        ({"choice": {"choices": ["né", "漢字"]}}, lambda text: text in {"né", "漢字"}),
        ({"grammar": 'root ::= "ab" | "ba"'}, lambda text: text in {"ab", "ba"}),
        ({"json_object": True}, lambda text: text.lstrip()[:1] == "{"),
        ({"structural_tag": json.dumps(TAG)}, lambda text: len(text) > 0),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_structured_output_has_its_shape(live, decoding, accepts):
    chunks = await live.stream(text=PROMPT, decoding=decoding, stopping=up_to(40))
    assert accepts(text_of(chunks))


async def test_characters_are_never_cut(live):
    """Each token is a byte: a character comes once it is whole."""
    decoding = {"choice": {"choices": ["漢字"]}}
    chunks = await live.stream(text=PROMPT, decoding=decoding, stopping=up_to(40))
    assert text_of(chunks) == "漢字"
    assert all("\ufffd" not in chunk.outputs.text for chunk in chunks)
    assert sum(chunk.outputs.num_tokens for chunk in chunks) >= 6


async def test_a_bad_grammar_names_its_field_and_harms_nobody(live):
    for decoding in ({"grammar": "root ::= ("}, {"regex": "("}, {"json": "{"}):
        assert await refused_field(live, text=PROMPT, decoding=decoding) == (
            f"decoding.{next(iter(decoding))}"
        )
    assert await live.stream(text=PROMPT)


async def test_log_probabilities_agree_with_the_choice(live):
    """Greedy tokens have rank 1, and the likeliest candidate is the token itself."""
    response = inference_pb2.ResponseOptions(
        output_token_ids=True, output_logprobs=True, output_candidates={"top_n": 3}
    )
    for chunk in await live.stream(text=PROMPT, response=response, stopping=up_to(5)):
        output = chunk.outputs
        assert list(output.ranks) == [1] * output.num_tokens
        for token_id, logprob, info in zip(
            output.token_ids, output.logprobs, output.candidate_tokens, strict=True
        ):
            assert [token.rank for token in info.tokens] == [1, 2, 3]
            assert (info.tokens[0].id, info.tokens[0].logprob) == (token_id, logprob)


async def test_chosen_candidates_are_scored(live):
    response = inference_pb2.ResponseOptions(
        output_candidates={"token_ids": inference_pb2.TokenIds(ids=[C, A])}
    )
    for chunk in await live.stream(text=PROMPT, response=response, stopping=up_to(3)):
        for info in chunk.outputs.candidate_tokens:
            assert [token.id for token in info.tokens] == [C, A]
            assert all(token.logprob < 0 for token in info.tokens)


async def test_a_prompt_is_scored(live):
    response = inference_pb2.ResponseOptions(
        prompt_logprobs=True, prompt_candidates={"top_n": 2}, prompt_token_ids=True
    )
    chunks = await live.stream(text=PROMPT, response=response, stopping=up_to(2))
    prompt = chunks[0].prompt_info
    count = len(PROMPT)
    assert prompt.num_prompt_tokens == len(prompt.logprobs) == len(prompt.ranks) == count
    assert len(prompt.candidate_tokens) == count
    assert (prompt.logprobs[0], prompt.ranks[0]) == (0, 0)
    assert all(logprob < 0 for logprob in prompt.logprobs[1:])


async def test_an_adapter_changes_what_is_said(live):
    plain = ids_of(await live.stream(text=PROMPT, response=IDS))
    adapted = ids_of(await live.stream(text=PROMPT, response=IDS, lora_name="poet"))
    assert adapted != plain
    model = await live.control.GetModelInfo(control_pb2.GetModelInfoRequest())
    assert model.supports_lora


async def test_priorities_are_understood(live):
    for priority in (-5, 5):
        assert await live.stream(text=PROMPT, priority=priority, session_id="s")


async def test_the_prefix_cache_is_used_salted_and_bypassed(live):
    """The same prompt hits, under another salt it does not, and not where it asks not to."""
    prompt = "a prompt of its own " * 8

    async def hits(**kv):
        before = await live.report()
        await live.stream(text=prompt, kv=kv)
        report = await live.report_where(
            lambda report: (
                report.prefix_query_tokens > before.prefix_query_tokens
                or report.generated_tokens > before.generated_tokens
            )
        )
        return report.prefix_hit_tokens - before.prefix_hit_tokens

    assert await hits() == 0
    assert await hits() > 100
    assert await hits(cache_salt="other") == 0
    assert await hits(cache_salt="other") > 100
    assert await hits(bypass_prefix_cache=True) == 0


async def test_cached_blocks_are_told_by_the_routers_names(live):
    """A watcher learns of the blocks of a prompt as soon as they are cached."""
    token_ids = list(range(100, 228))
    prompt = inference_pb2.TokenIds(ids=token_ids)
    told = set()

    def all_told(report):
        told.update(report.prefix.added)
        return told.issuperset(token_blocks(token_ids))

    watching = asyncio.create_task(live.report_where(all_told))
    await live.stream(token_ids=prompt, stopping=up_to(2))
    await asyncio.wait_for(watching, DEADLINE_S)
    salted = await live.stream(token_ids=prompt, stopping=up_to(2), kv={"cache_salt": "pepper"})
    assert salted
    expected = set(token_blocks(token_ids, salt="pepper"))
    await asyncio.wait_for(
        live.report_where(lambda report: expected.issubset(report.prefix.added)), DEADLINE_S
    )


async def test_what_does_not_fit_the_context_is_refused(live):
    assert await refused_field(live, text="x" * CONTEXT) == "text"
    assert await refused_field(live, text="x" * 1_000_000) == "text"
    assert await refused_field(live, text=PROMPT, stopping=up_to(CONTEXT - 1)) == (
        "stopping.max_new_tokens"
    )
    assert await live.stream(text="x" * 1_000_000, truncate_prompt_tokens=9)


async def test_load_is_told_while_generating(live):
    """The engine's own steps tell: running, then nothing, and the totals in between."""
    before = await live.report_where(lambda report: report.running_requests == 0)
    call = live.inference.GenerateStream(
        inference_pb2.GenerateRequest(text=PROMPT, stopping=up_to(450, ignore_eos=True))
    )
    during = await live.report_where(
        lambda report: report.running_requests == 1 and report.kv_usage > 0
    )
    assert during.instance_id == before.instance_id
    assert [chunk async for chunk in call]
    after = await live.report_where(lambda report: report.running_requests == 0)
    assert after.generated_tokens - before.generated_tokens == 450
    assert after.itl_s > 0
    assert after.ttft_s > 0


async def test_a_cancelled_stream_is_aborted_in_the_engine(live):
    """No token is generated for nobody: the engine stops far short of the limit."""
    before = await live.report_where(lambda report: report.running_requests == 0)
    call = live.inference.GenerateStream(
        inference_pb2.GenerateRequest(text=PROMPT, stopping=up_to(450, ignore_eos=True))
    )
    await call.read()
    call.cancel()
    await live.report_where(lambda report: report.running_requests == 0)
    await live.stream(text=PROMPT, stopping=up_to(1))
    after = await live.report_where(
        lambda report: report.generated_tokens > before.generated_tokens
    )
    assert after.generated_tokens - before.generated_tokens < 400


async def test_abort_ends_a_stream(live):
    call = live.inference.GenerateStream(
        inference_pb2.GenerateRequest(
            request_id="mine", text=PROMPT, stopping=up_to(450, ignore_eos=True)
        )
    )
    chunks = [await call.read()]
    await live.control.Abort(control_pb2.AbortRequest(request_ids=["mine"]))
    while (chunk := await call.read()) is not grpc.aio.EOF:
        chunks.append(chunk)
    assert finish_of(chunks).finish_reason == inference_pb2.FinishInfo.ABORTED


async def test_many_streams_at_once_are_each_their_own(live):
    """A batch changes no greedy answer's length, order or end."""
    answers = await asyncio.gather(
        *(live.stream(text=f"{n} {PROMPT}", stopping=up_to(30, ignore_eos=True)) for n in range(40))
    )
    for chunks in answers:
        assert sum(chunk.outputs.num_tokens for chunk in chunks) == 30
        assert finish_of(chunks).num_output_tokens == 30


async def test_server_info_is_the_engines(live):
    info = await live.control.GetServerInfo(control_pb2.GetServerInfoRequest())
    assert info.max_model_len == CONTEXT
    assert info.kv_block_size > 0
    assert info.total_kv_blocks > 0
    assert info.max_running_requests > 0
    assert info.max_loras == 1
    assert info.engine_version
