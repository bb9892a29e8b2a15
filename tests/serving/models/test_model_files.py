"""The files that engines load: fresh, small, and tokenised as vocabulary.py says."""

import jinja2
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from serving.models import BUILT_IN
from serving.models.passages import FERRY
from serving.models.vocabulary import END, MARKS, SIZE, decode, encode, encode_chat

TOKENIZER = Tokenizer.from_file(str(BUILT_IN / "tokenizer.json"))
TEMPLATE = jinja2.Template((BUILT_IN / "chat_template.jinja").read_text())

plain_text = st.text().filter(lambda text: not any(mark in text for mark in MARKS.values()))


def test_the_files_are_small():
    """They live in the repository."""
    assert sum(file.stat().st_size for file in BUILT_IN.iterdir()) < 5_000_000


@settings(deadline=None)
@given(plain_text)
def test_the_tokenizer_gives_a_token_a_byte(text):
    """Any text, in any script."""
    assert TOKENIZER.encode(text).ids == encode(text)
    assert TOKENIZER.decode(encode(text)) == text == decode(encode(text))


def test_the_tokenizer_reads_marks():
    """They are tokens of their own, which the text of an answer leaves out."""
    spelt = "".join(MARKS.values())
    assert TOKENIZER.encode(spelt, add_special_tokens=False).ids == sorted(MARKS)
    assert TOKENIZER.decode([*b"end", END]) == "end"
    assert TOKENIZER.get_vocab_size() == SIZE


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant"]), plain_text)))
def test_the_chat_template_is_encode_chat(messages):
    """The same tokens, from files and from Python."""
    named = [{"role": role, "content": content} for role, content in messages]
    text = TEMPLATE.render(messages=named, add_generation_prompt=True)
    assert TOKENIZER.encode(text, add_special_tokens=False).ids == encode_chat(messages)


def test_a_conversation_grows_at_its_end_alone():
    """A turn's tokens, its answer among them, are the beginning of the next turn's: one cache."""
    first = [("system", "Be brief."), ("user", "Recite The Night Ferry")]
    second = [*first, ("assistant", FERRY), ("user", "7")]
    begun = [*encode_chat(first), *FERRY.encode(), END]
    assert encode_chat(second)[: len(begun)] == begun
