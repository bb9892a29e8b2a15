"""Names for cached prompt prefixes that a router and a replica compute alike.

A prompt is cut into runs of fixed length, and each run gets a 64-bit hash of itself and of the hash
before it. Two prompts that share their first k runs share their first k hashes, and equal hashes
mean (but for a chance of 2^-64 a pair) equal prefixes: one look-up tells how much of a prompt a
cache holds. What is left over at the end and is shorter than a run has no hash, as an engine's
incomplete block is not shared either.

Token ids are cut into runs of BLOCK_TOKENS. Where only text is at hand (a router has no tokenizer),
its UTF-8 bytes are cut into runs of BLOCK_BYTES; the seeds differ, so that hashes of one kind never
meet those of the other. A salt (a cache salt, an adapter's name) separates prefixes that no cache
may share.

Each hash needs only its run and the hash before it, so that a replica can follow its engine's cache
block by block. A running digest of the whole prompt would be as fast and would not allow that.
"""

import sys
from array import array
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

BLOCK_TOKENS: Final = 16
"""Token ids in a run: the block size of most engines, or a divisor of it."""

BLOCK_BYTES: Final = 64
"""UTF-8 bytes in a run of text: about as much text as BLOCK_TOKENS tokens."""

BLOCKS_MAX: Final = 8192
"""Runs that are hashed by default: 131,072 tokens, about 5 ms of hashing."""

_DIGEST_BYTES: Final = 8
_TOKEN_BYTES: Final = 4


def salt_of(cache_salt: str, lora_name: str) -> str:
    """The salt of a request's prefixes: no cache shares them across cache salts or adapters."""
    return f"{lora_name}\0{cache_salt}" if lora_name else cache_salt


def token_seed(salt: str = "") -> int:
    """The hash that stands before a prompt's first run of token ids."""
    return _seed(b"spillway tokens", salt)


def token_blocks(
    token_ids: Sequence[int],
    *,
    salt: str = "",
    after: int | None = None,
    blocks_max: int = BLOCKS_MAX,
) -> list[int]:
    """The hashes of the complete runs of token_ids, in order, at most blocks_max of them.

    Token ids are 32-bit and unsigned: others raise OverflowError. With `after`, token_ids go on
    where the run with that hash ended, and the salt, which that hash contains already, is unused.
    """
    complete = min(len(token_ids) // BLOCK_TOKENS, blocks_max)
    words = array("I", token_ids[: complete * BLOCK_TOKENS])
    if sys.byteorder == "big":
        words.byteswap()
    seed = token_seed(salt) if after is None else after
    return _chain(seed, words.tobytes(), BLOCK_TOKENS * _TOKEN_BYTES)


def text_blocks(text: str, *, salt: str = "", blocks_max: int = BLOCKS_MAX) -> list[int]:
    """The hashes of the complete runs of text's UTF-8 bytes, in order, at most blocks_max."""
    encoded = text[: blocks_max * BLOCK_BYTES].encode("utf-8", "surrogatepass")
    complete = min(len(encoded) // BLOCK_BYTES, blocks_max)
    return _chain(_seed(b"spillway text", salt), encoded[: complete * BLOCK_BYTES], BLOCK_BYTES)


def _seed(kind: bytes, salt: str) -> int:
    """A start for chains of this kind (at most 16 bytes, blake2b's personalisation) and salt."""
    salted = salt.encode("utf-8", "surrogatepass")
    return int.from_bytes(
        blake2b(salted, digest_size=_DIGEST_BYTES, person=kind).digest(), "little"
    )


def _chain(seed: int, data: bytes, run_bytes: int) -> list[int]:
    """Hashes each run of data together with the hash before it; seed stands before the first."""
    hashes: list[int] = []
    last = seed.to_bytes(_DIGEST_BYTES, "little")
    for start in range(0, len(data), run_bytes):
        last = blake2b(last + data[start : start + run_bytes], digest_size=_DIGEST_BYTES).digest()
        hashes.append(int.from_bytes(last, "little"))
    return hashes
