"""Follows an engine's prefix cache, and names its blocks as routers do.

vLLM publishes which blocks enter and leave its cache, by hashes of its own that nobody outside can
compute; but it publishes their token ids too. So each block gets the hashes that
wire.spillway.v1.prefix gives to its tokens, chained on those of the block before it, and is known
by them until it leaves. A block of an engine may span several of the wire's.

What is reported is a hint about where a prompt's prefix is warm. Where events were lost or make no
sense, less is reported and never more: a block whose predecessor is unknown cannot be named.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from serving.engine import PrefixBlocks
from wire.spillway.v1.prefix import BLOCK_TOKENS, salt_of, token_blocks

BlockHash = int | bytes
"""A block's hash in the engine's own terms."""

NOT_EVENTS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
"""What reading events raises that are not as vLLM encodes them."""

DEVICE_MEDIA = (None, "GPU")
"""Blocks elsewhere (host memory, a store) are not warm."""


class PrefixFollower:
    """The blocks that an engine has cached, by its hashes and by ours."""

    def __init__(self, blocks_max: int) -> None:
        """blocks_max is what the engine's cache holds, and so what can be known of it."""
        self._blocks_max = blocks_max
        self._names: dict[BlockHash, list[int]] = {}

    def restart(self) -> PrefixBlocks:
        """Forgets everything: events were lost."""
        self._names.clear()
        return PrefixBlocks(reset=True)

    def read(self, events: Sequence[Mapping[str, Any]]) -> list[PrefixBlocks]:
        """What the events of one step, as vLLM encodes them, change."""
        changes: list[PrefixBlocks] = []
        for event in events:
            kind = event.get("type")
            if kind == "AllBlocksCleared":
                changes.append(self.restart())
            elif event.get("medium") not in DEVICE_MEDIA or event.get("group_idx"):
                continue  # other groups of a hybrid model hold the same prompts' other layers
            elif kind == "BlockStored":
                changes.append(self._stored(event))
            elif kind == "BlockRemoved":
                changes.append(self._removed(event["block_hashes"]))
        if len(self._names) > self._blocks_max:
            changes.append(self.restart())
        return [change for change in changes if change.reset or change.added or change.removed]

    def _stored(self, event: Mapping[str, Any]) -> PrefixBlocks:
        hashes, token_ids = event["block_hashes"], event["token_ids"]
        size = event["block_size"]
        parent = event["parent_block_hash"]
        before = self._names.get(parent) if parent is not None else None
        if size % BLOCK_TOKENS or (parent is not None and before is None):
            return PrefixBlocks()
        if before is not None:
            names = token_blocks(token_ids, after=before[-1])
        else:
            names = token_blocks(token_ids, salt=_salt(event))
        each = size // BLOCK_TOKENS
        for index, block_hash in enumerate(hashes):
            self._names[block_hash] = names[index * each : (index + 1) * each]
        return PrefixBlocks(added=names)

    def _removed(self, hashes: Sequence[BlockHash]) -> PrefixBlocks:
        removed = [name for block_hash in hashes for name in self._names.pop(block_hash, ())]
        return PrefixBlocks(removed=removed)


def _salt(event: Mapping[str, Any]) -> str:
    """The salt of a prompt's first block, among whose extra keys are its adapter and its salt."""
    lora_name = event.get("lora_name") or ""
    (keys, *_) = event.get("extra_keys") or [None]
    texts = [key for key in keys or () if isinstance(key, str)]
    if lora_name and lora_name in texts:
        texts.remove(lora_name)
    return salt_of(texts[0] if texts else "", lora_name)
