"""Tokenizers by their files, without the library that trains them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from router.prompt.tokenizer import ModelTokenizer
from serving.models import BUILT_IN
from serving.models.vocabulary import BEGIN, MARKS, encode_chat

BUILT_IN_TOKENIZER = ModelTokenizer((BUILT_IN / "tokenizer.json").read_bytes())


@given(st.text())
def test_bytes_are_those_of_the_text(text):
    """Token by token, whatever the text."""
    ids = BUILT_IN_TOKENIZER.encode(text)
    assert b"".join(map(BUILT_IN_TOKENIZER.token_bytes, ids)) == text.encode()
    assert BUILT_IN_TOKENIZER.decode(ids) == text


def test_special_tokens_are_written_out_and_never_added():
    """A chat template puts them where they belong."""
    assert BUILT_IN_TOKENIZER.encode(f"{MARKS[BEGIN]}a") == [BEGIN, ord("a")]
    assert BUILT_IN_TOKENIZER.encode("a") == [ord("a")]
    assert BUILT_IN_TOKENIZER.token_bytes(BEGIN) == MARKS[BEGIN].encode()
    assert BUILT_IN_TOKENIZER.token_bytes(10**6) == b""


def test_the_built_in_model_s_chats_are_as_its_own_encoder_makes_them():
    """Template and tokenizer together."""
    from router.prompt.chat_template import ChatTemplate  # noqa: PLC0415 - of this test alone

    text = ChatTemplate.load(BUILT_IN).render([{"role": "user", "content": "How are you?"}])
    assert BUILT_IN_TOKENIZER.encode(text) == encode_chat([("user", "How are you?")])


def test_a_tokenizer_with_byte_tokens_gives_their_bytes():
    """As Llama 2 and Gemma have them: a mark for spaces, and a token for each unknown byte."""
    vocabulary = {"<unk>": 0, "\u2581a": 1, "b": 2, "<0xC3>": 3, "<0x9F>": 4, "\u2581": 5}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True, unk_token="<unk>"))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    made = ModelTokenizer(tokenizer.to_str().encode())
    assert [made.token_bytes(i) for i in (1, 2, 3, 4, 5)] == [b" a", b"b", b"\xc3", b"\x9f", b" "]


def test_prompts_are_neither_cut_nor_filled_up():
    """Whatever the file asks for."""
    tokenizer = Tokenizer.from_file(str(BUILT_IN / "tokenizer.json"))
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=20)
    assert len(ModelTokenizer(tokenizer.to_str().encode()).encode("123456")) == 6


def test_any_other_tokenizer_gives_what_it_decodes():
    tokenizer = Tokenizer(models.WordLevel({"hello": 0, "there": 1}, unk_token="there"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    made = ModelTokenizer(tokenizer.to_str().encode())
    assert made.token_bytes(0) == b"hello"


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", json.dumps({"model": 3}).encode(), b"\xff"])
def test_what_is_no_tokenizer_is_an_error(content):
    with pytest.raises(ValueError, match=r"tokenizer\.json cannot be read"):
        ModelTokenizer(content)
