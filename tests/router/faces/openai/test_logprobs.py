"""Log-probabilities in both of the forms that OpenAI has."""

import math

from router.faces.openai.logprobs import CompletionLogprobs, TokenTexts, chat_entries
from router.prompt.tokenizer import ModelTokenizer
from serving.fake_engine import TOKENIZER
from wire.vllm.inference_pb2 import SequenceOutput

TEXTS = TokenTexts(ModelTokenizer((TOKENIZER / "tokenizer.json").read_bytes()))
SHARP_S = "ß".encode()


def scored(*tokens):
    """A message of tokens, each with its likeliest neighbour."""
    output = SequenceOutput(token_ids=tokens, logprobs=[-0.5] * len(tokens))
    for token in tokens:
        output.candidate_tokens.add(
            tokens=[{"id": token, "logprob": -0.5, "rank": 1}, {"id": 97, "logprob": -math.inf}]
        )
    return output


def test_a_chat_s_tokens_have_their_bytes():
    """Those of a character that is cut make it up again."""
    entries = chat_entries(scored(*SHARP_S), TEXTS, 2)
    assert bytes(byte for entry in entries for byte in entry["bytes"]) == SHARP_S
    assert entries[0]["token"] == "\ufffd"
    assert [one["token"] for one in entries[0]["top_logprobs"]] == ["\ufffd", "a"]
    assert entries[0]["top_logprobs"][1]["logprob"] == -9999.0


def test_only_so_many_candidates_are_told():
    assert [e["top_logprobs"] for e in chat_entries(scored(98), TEXTS, 0)] == [[]]


def test_a_completion_s_lists_go_on_from_message_to_message():
    lists = CompletionLogprobs(TEXTS, 2)
    assert lists.of(scored(*b"bc")) == {
        "tokens": ["b", "c"],
        "token_logprobs": [-0.5, -0.5],
        "top_logprobs": [{"b": -0.5, "a": -9999.0}, {"c": -0.5, "a": -9999.0}],
        "text_offset": [0, 1],
    }
    assert lists.of(scored(98))["text_offset"] == [2]


def test_tokens_without_a_tokenizer_are_named_by_their_ids():
    [entry] = chat_entries(scored(98), TokenTexts(None), 0)
    assert (entry["token"], entry["bytes"]) == ("token_id:98", None)
