"""A model's tokenizer, by its tokenizer.json."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tokenizers import Tokenizer

TOKENIZER_FILE: Final = "tokenizer.json"

_WORD_START: Final = "\u2581"
"""How tokenizers with a byte for what they do not know write a space."""


class ModelTokenizer:
    """Turns text into token ids, and says what bytes a token id stands for.

    Raises ValueError for what is no tokenizer.json.
    """

    def __init__(self, content: bytes) -> None:
        try:
            self._tokenizer: Any = Tokenizer.from_buffer(content)
        except Exception as error:  # the library raises nothing more special
            raise ValueError(f"{TOKENIZER_FILE} cannot be read: {error}") from error
        # Some files ask for what belongs to training: prompts are neither cut nor filled up here.
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        decoders = set(_types(json.loads(content).get("decoder")))
        self._is_byte_level = "ByteLevel" in decoders
        self._has_byte_tokens = "ByteFallback" in decoders
        added = self._tokenizer.get_added_tokens_decoder()
        self._added: Mapping[int, str] = {number: one.content for number, one in added.items()}

    def encode(self, text: str) -> list[int]:
        """The ids of a text in which special tokens are written out."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: list[int]) -> str:
        """The text of token ids, special ones included."""
        text: str = self._tokenizer.decode(ids, skip_special_tokens=False)
        return text

    def token_bytes(self, token_id: int) -> bytes:
        """The UTF-8 bytes that a token stands for, which may be part of a character."""
        if token_id in self._added:
            return self._added[token_id].encode()
        token: str | None = self._tokenizer.id_to_token(token_id)
        if token is None:
            return b""
        if self._is_byte_level and all(letter in _BYTE_OF for letter in token):
            return bytes(_BYTE_OF[letter] for letter in token)
        if self._has_byte_tokens:
            if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
                return bytes.fromhex(token[3:5])
            return token.replace(_WORD_START, " ").encode()
        return self.decode([token_id]).encode()


def _types(decoder: Any) -> Iterator[str]:
    """The kinds of a decoder and of what it is made of."""
    if isinstance(decoder, Mapping):
        yield str(decoder.get("type"))
        for part in decoder.get("decoders", ()):
            yield from _types(part)


def _byte_of() -> dict[str, int]:
    """The byte for each letter that byte-level tokenizers write.

    A byte that Latin-1 prints stands for itself; the others are numbered on from U+0100.
    """
    printed = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    unprinted = iter(range(0x100, 0x200))
    return {chr(byte if byte in printed else next(unprinted)): byte for byte in range(256)}


_BYTE_OF: Final = _byte_of()
