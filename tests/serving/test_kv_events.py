"""An engine's cache events, read as the wire's blocks."""

from hypothesis import given
from hypothesis import strategies as st

from serving.engine import PrefixBlocks
from serving.kv_events import PrefixFollower
from wire.spillway.v1.prefix import salt_of, token_blocks

SIZE = 32
PROMPT = list(range(4 * SIZE))


def stored(hashes, token_ids, parent=None, **fields):
    """As vLLM encodes it."""
    event = {"type": "BlockStored", "block_hashes": hashes, "parent_block_hash": parent}
    event |= {"token_ids": token_ids, "block_size": SIZE, "medium": "GPU", "lora_name": None}
    return event | {"extra_keys": [None] * len(hashes), "group_idx": 0} | fields


def removed(*hashes, medium="GPU"):
    return {"type": "BlockRemoved", "block_hashes": list(hashes), "medium": medium, "group_idx": 0}


def block(index):
    return PROMPT[index * SIZE : (index + 1) * SIZE]


def test_blocks_are_named_as_a_router_names_the_prompt():
    """In one event or several, the hashes of the parts are those of the whole."""
    at_once = PrefixFollower(100).read([stored([b"a", b"b"], PROMPT[: 2 * SIZE])])
    follower = PrefixFollower(100)
    in_parts = follower.read([stored([b"a"], block(0)), stored([b"b"], block(1), parent=b"a")])
    expected = token_blocks(PROMPT[: 2 * SIZE])
    assert [name for change in at_once for name in change.added] == expected
    assert [name for change in in_parts for name in change.added] == expected


def test_what_leaves_is_named_as_it_came():
    follower = PrefixFollower(100)
    follower.read([stored([b"a", b"b"], PROMPT[: 2 * SIZE])])
    assert follower.read([removed(b"b", b"unknown")]) == [
        PrefixBlocks(removed=token_blocks(PROMPT[: 2 * SIZE])[2:])
    ]
    assert follower.read([removed(b"b")]) == []


def test_salts_and_adapters_keep_prefixes_apart():
    for lora, salt in (("", "pepper"), ("poet", ""), ("poet", "pepper")):
        keys = [key for key in (lora, salt) if key]
        event = stored([b"a"], block(0), lora_name=lora or None, extra_keys=[keys])
        (change,) = PrefixFollower(100).read([event])
        assert change.added == token_blocks(block(0), salt=salt_of(salt, lora))


def test_a_block_without_its_predecessor_has_no_name():
    follower = PrefixFollower(100)
    assert follower.read([stored([b"b"], block(1), parent=b"a")]) == []
    assert follower.read([removed(b"b")]) == []


def test_blocks_elsewhere_are_not_warm():
    follower = PrefixFollower(100)
    assert follower.read([stored([b"a"], block(0), medium="CPU")]) == []
    assert follower.read([stored([b"a"], block(0), group_idx=1)]) == []
    follower.read([stored([b"a"], block(0))])
    assert follower.read([removed(b"a", medium="CPU")]) == []


def test_blocks_of_another_grain_are_left_out():
    assert PrefixFollower(9).read([stored([b"a"], PROMPT[:24], block_size=24)]) == []


def test_a_cleared_cache_is_told():
    follower = PrefixFollower(100)
    follower.read([stored([b"a"], block(0))])
    assert follower.read([{"type": "AllBlocksCleared"}]) == [PrefixBlocks(reset=True)]
    assert follower.read([removed(b"a")]) == []


def test_more_blocks_than_the_cache_holds_means_lost_events():
    follower = PrefixFollower(blocks_max=1)
    changes = follower.read([stored([b"a", b"b"], PROMPT[: 2 * SIZE])])
    assert changes[-1] == PrefixBlocks(reset=True)


@given(st.lists(st.integers(0, 3)))
def test_the_reported_set_is_what_is_cached(moves):
    """Blocks of a prompt come in order and leave from the end; what is told adds up to the set."""
    follower, told, cached = PrefixFollower(100), set(), 0
    for target in moves:
        events = []
        for index in range(cached, target + 1):
            parent = index - 1 if index else None
            events.append(stored([index], block(index), parent=parent))
        events += [removed(index) for index in range(cached - 1, target, -1)]
        cached = target + 1
        for change in follower.read(events):
            told.difference_update(change.removed)
            told.update(change.added)
    assert told == set(token_blocks(PROMPT[: cached * SIZE]))
