"""What each endpoint has cached, from the changes that it reports: what precise routers keep.

Until the first report of a change, and between reports, a router's own dispatches stand in: what it
sent is there, or about to be.
"""

from collections.abc import Iterable

from router.policy.load import LoadReport
from router.policy.request import Request
from router.sim.rivals.prefix_tree import PrefixTree


class CacheIndex:
    """Cached prefixes by endpoint. `tokens_max` and `age_max_ns` bound what nobody corrects."""

    def __init__(self, *, tokens_max: int | None = None, age_max_ns: int | None = None) -> None:
        self._tree = PrefixTree(tokens_max=tokens_max, age_max_ns=age_max_ns)
        self._instances: dict[str, str] = {}
        self._is_told = False  # of changes, by anybody

    def on_send(self, endpoint: str, request: Request, now: int) -> None:
        """A prompt was sent to an endpoint."""
        self._tree.add(endpoint, request, now)

    def on_load(self, report: LoadReport, now: int) -> None:
        """Take in the changes that a report tells of."""
        known = self._instances.get(report.endpoint)
        if report.prefix_reset or (known is not None and known != report.instance):
            self._tree.forget(report.endpoint)
        self._instances[report.endpoint] = report.instance
        if report.prefix_added or report.prefix_removed:
            self._is_told = True
            self._tree.put_blocks(report.endpoint, report.prefix_added, now)
            self._tree.drop_blocks(report.endpoint, report.prefix_removed)

    def on_tick(self, now: int) -> None:
        """Age what nobody corrects."""
        if not self._is_told:
            self._tree.expire(now)

    def forget(self, endpoint: str) -> None:
        """An endpoint is gone, and its cache with it."""
        self._tree.forget(endpoint)

    def cached_tokens(self, endpoint: str, request: Request) -> int:
        """How much of a prompt, in full blocks from its beginning, an endpoint has."""
        return self._tree.matched_tokens(endpoint, request)

    def best(self, request: Request, endpoints: Iterable[str]) -> tuple[int, list[str]]:
        """The longest match in tokens, and the endpoints that have it; none where it is 0."""
        return self._tree.best(request, endpoints)
