"""Prefix hashes: what two sides must agree on without talking to each other."""

from hypothesis import given
from hypothesis import strategies as st

from wire.spillway.v1.prefix import (
    BLOCK_BYTES,
    BLOCK_TOKENS,
    salt_of,
    text_blocks,
    token_blocks,
    token_seed,
)

TOKEN_IDS = st.lists(st.integers(0, 2**32 - 1), max_size=8 * BLOCK_TOKENS)


def shared(left: list[int], right: list[int]) -> int:
    return next(
        (i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b),
        min(len(left), len(right)),
    )


@given(TOKEN_IDS, TOKEN_IDS, TOKEN_IDS)
def test_prompts_share_as_many_hashes_as_whole_runs(prefix, left, right):
    """Hashes agree exactly as far as the prompts agree in complete runs."""
    a, b = prefix + left, prefix + right
    common = next(
        (i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b))
    )
    assert shared(token_blocks(a), token_blocks(b)) == common // BLOCK_TOKENS


@given(TOKEN_IDS, st.integers(0, 8))
def test_a_chain_can_be_taken_up_at_any_run(token_ids, blocks):
    """A replica that learns of blocks one by one names them as a router does with the whole."""
    cut = blocks * BLOCK_TOKENS
    head = token_blocks(token_ids[:cut])
    last = head[-1] if head else token_seed()
    assert head + token_blocks(token_ids[cut:], after=last) == token_blocks(token_ids)


def test_an_incomplete_run_has_no_hash():
    assert token_blocks(range(BLOCK_TOKENS - 1)) == []
    assert len(token_blocks(range(BLOCK_TOKENS * 3 + 1))) == 3
    assert text_blocks("x" * (BLOCK_BYTES - 1)) == []


def test_salt_and_kind_separate_prefixes():
    ids = list(range(BLOCK_TOKENS))
    assert token_blocks(ids, salt="a") != token_blocks(ids)
    raw = b"".join(i.to_bytes(4, "little") for i in ids)
    assert text_blocks(raw.decode()) != token_blocks(ids)


def test_adapters_and_salts_make_different_salts():
    assert len({salt_of("", ""), salt_of("a", ""), salt_of("", "a"), salt_of("a", "a")}) == 4


@given(st.text(max_size=300))
def test_text_is_cut_by_bytes(text):
    """Characters of several bytes count as their bytes, and may be cut in the middle."""
    assert len(text_blocks(text)) == len(text.encode()) // BLOCK_BYTES


def test_the_number_of_hashes_is_bounded():
    assert len(token_blocks(range(1600), blocks_max=7)) == 7
    assert len(text_blocks("é" * 1600, blocks_max=7)) == 7


def test_known_values_stay():
    """Router and replica may be of different releases: the numbers are part of the wire."""
    assert token_blocks(range(32)) == [0x474E5835D0FB2738, 0x78DED6CED5C9811D]
    assert text_blocks("spillway" * 8) == [0x69AF0BDE88867366]
