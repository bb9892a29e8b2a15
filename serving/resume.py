"""Reads that a request goes on with a stream that began elsewhere, and what its client has of it.

A router sends the delivered tokens as the end of the prompt, and says in the metadata how many they
are and how much of their text the client has seen: see docs/streams.md.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wire.counts import read_count
from wire.spillway.v1.resume import RESUME_KEY, RESUME_TEXT_KEY
from wire.status import CallError, bad_field


@dataclass(frozen=True, slots=True)
class Resume:
    """What the metadata says that the client has."""

    tokens: int
    text_bytes: int | None
    """None: all the text that so many tokens bring forth."""


def read_resume(metadata: Iterable[tuple[str, str | bytes]]) -> Resume | None:
    """What the client has, or None where it has no token. Raises CallError naming the key."""
    named = dict(metadata)
    tokens, text_bytes = read_count(RESUME_KEY, named), read_count(RESUME_TEXT_KEY, named)
    if not tokens:
        if text_bytes:
            raise bad_field(RESUME_TEXT_KEY, f"is {text_bytes}, without {RESUME_KEY}")
        return None
    return Resume(tokens, text_bytes)


def split_prompt(token_ids: Sequence[int], resume: Resume) -> tuple[list[int], list[int]]:
    """The prompt proper and the tokens that the client has. Raises CallError."""
    if resume.tokens >= len(token_ids):
        raise bad_field(
            RESUME_KEY,
            f"is {resume.tokens}, and with {len(token_ids)} token ids in all none is left for the "
            "prompt",
        )
    return list(token_ids[: -resume.tokens]), list(token_ids[-resume.tokens :])


def undelivered(text: str, given_bytes: int) -> str:
    """What is left of the delivered tokens' text after the bytes that the client has.

    Raises CallError where it has more, or part of a character, which no server ever sent.
    """
    encoded = text.encode()
    if given_bytes > len(encoded):
        raise bad_text(f"is {given_bytes}, and the text of the tokens has {len(encoded)} bytes")
    try:
        return encoded[given_bytes:].decode()
    except UnicodeDecodeError as error:
        raise bad_text(f"is {given_bytes}, in the middle of a character") from error


def bad_text(description: str) -> CallError:
    """What the client is said to have of the text does not fit the tokens it has."""
    return bad_field(RESUME_TEXT_KEY, description)
