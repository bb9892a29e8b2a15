"""The built-in model's vocabulary: a token is a byte, or one of five marks."""

from collections.abc import Iterable, Sequence

END = 256
"""Ends an answer; the end-of-sequence token."""
BEGIN = 257
"""Opens every prompt. Without it no transformer of this kind tells 7 from 77: attention over equal
values gives that value, however many there are."""
SYSTEM = 258
USER = 259
ASSISTANT = 260

MARKS = {
    END: "<|end|>",
    BEGIN: "<|begin|>",
    SYSTEM: "<|system|>",
    USER: "<|user|>",
    ASSISTANT: "<|assistant|>",
}
SIZE = 256 + len(MARKS)

_ROLES = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT}


def encode(text: str) -> list[int]:
    """The tokens of a raw prompt as the tokenizer gives them: BEGIN, then its bytes.

    A text that spells out a mark (`<|end|>`) is outside this: the tokenizer reads the mark.
    """
    return [BEGIN, *text.encode()]


def encode_chat(messages: Iterable[tuple[str, str]]) -> list[int]:
    """The tokens of a conversation of (role, content), ready for the assistant's answer.

    The same as the tokenizer's chat template gives with `add_generation_prompt`.
    """
    tokens = [BEGIN]
    for role, content in messages:
        tokens.append(_ROLES[role])
        tokens.extend((content if role == "assistant" else content.strip()).encode())
        if role == "assistant":
            tokens.append(END)
    return [*tokens, ASSISTANT]


def decode(tokens: Sequence[int]) -> str:
    """The text of tokens: marks left out, bytes that are no UTF-8 replaced."""
    return bytes(token for token in tokens if token < END).decode(errors="replace")
