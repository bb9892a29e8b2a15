"""Which prompts a router sent where: the approximate prefix tree that most rivals keep.

Block names stand for whole prefixes, so the tree is flat: for each endpoint its blocks with the
time of their last use, least recently used first. A prompt's tail is put in before its head; heads
thus outlive their tails, and a match is found by bisection.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field

from router.policy.request import Request


@dataclass(slots=True)
class _Branch:
    """One endpoint's part: what was sent, in tokens with the time of last use."""

    parts: OrderedDict[int | str, tuple[int, int]] = field(default_factory=OrderedDict)
    tokens: int = 0


class PrefixTree:
    """Prompts by endpoint, bounded by size (tokens for each endpoint), by age, or by neither."""

    def __init__(self, *, tokens_max: int | None = None, age_max_ns: int | None = None) -> None:
        self._tokens_max = tokens_max
        self._age_max_ns = age_max_ns
        self._branches: dict[str, _Branch] = {}

    def add(self, endpoint: str, request: Request, now: int) -> None:
        """A prompt was sent to an endpoint."""
        branch = self._branches.setdefault(endpoint, _Branch())
        size = request.prefix_block_tokens
        rest = request.prompt_tokens - len(request.prefix) * size
        if rest > 0:
            self._put(branch, request.id, rest, now)
        for block in reversed(request.prefix):
            self._put(branch, block, size, now)
        if self._tokens_max is not None:
            while branch.tokens > self._tokens_max:
                self._pop(branch)

    def put_blocks(self, endpoint: str, blocks: Iterable[int], now: int) -> None:
        """An endpoint has these blocks, whoever sent them."""
        branch = self._branches.setdefault(endpoint, _Branch())
        for block in blocks:
            if block not in branch.parts:
                self._put(branch, block, 0, now)

    def drop_blocks(self, endpoint: str, blocks: Iterable[int]) -> None:
        """An endpoint has evicted these blocks."""
        branch = self._branches.get(endpoint)
        if branch is not None:
            for block in blocks:
                _used_ns, tokens = branch.parts.pop(block, (0, 0))
                branch.tokens -= tokens

    def matched_tokens(self, endpoint: str, request: Request) -> int:
        """How much of a prompt, in full blocks from its beginning, the endpoint was sent before."""
        branch = self._branches.get(endpoint)
        prefix = request.prefix
        if branch is None or not prefix or prefix[0] not in branch.parts:
            return 0
        parts = branch.parts
        blocks = bisect_left(prefix, True, key=lambda block: block not in parts)
        return min(request.prompt_tokens, blocks * request.prefix_block_tokens)

    def best(self, request: Request, endpoints: Iterable[str]) -> tuple[int, list[str]]:
        """The longest match in tokens, and the endpoints that have it; none where it is 0."""
        most, holders = 0, []
        for endpoint in endpoints:
            tokens = self.matched_tokens(endpoint, request)
            if tokens > most:
                most, holders = tokens, [endpoint]
            elif tokens and tokens == most:
                holders.append(endpoint)
        return most, holders

    def tokens(self, endpoint: str) -> int:
        """The size of an endpoint's part."""
        branch = self._branches.get(endpoint)
        return branch.tokens if branch is not None else 0

    def smallest(self, endpoints: Iterable[str]) -> list[str]:
        """The endpoints with the smallest part."""
        sizes = {endpoint: self.tokens(endpoint) for endpoint in endpoints}
        least = min(sizes.values())
        return [endpoint for endpoint, size in sizes.items() if size == least]

    def forget(self, endpoint: str) -> None:
        """An endpoint is gone, and its cache with it."""
        self._branches.pop(endpoint, None)

    def expire(self, now: int) -> None:
        """Drop what was not used for longer than the age."""
        if self._age_max_ns is None:
            return
        for branch in self._branches.values():
            while branch.parts:
                used_ns, _tokens = next(iter(branch.parts.values()))
                if now - used_ns <= self._age_max_ns:
                    break
                self._pop(branch)

    def _put(self, branch: _Branch, part: int | str, tokens: int, now: int) -> None:
        if part not in branch.parts:
            branch.tokens += tokens
        branch.parts[part] = (now, tokens)
        branch.parts.move_to_end(part)

    def _pop(self, branch: _Branch) -> None:
        _part, (_used_ns, tokens) = branch.parts.popitem(last=False)
        branch.tokens -= tokens
