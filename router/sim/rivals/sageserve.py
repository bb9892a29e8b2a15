"""SageServe's routing between regions."""

import random

from router.policy.load import LoadReport
from router.policy.outcome import Ended
from router.policy.request import Request
from router.policy.units import NS_PER_S
from router.sim.rivals.rival import Rival

_MEMORY_MAX = 0.7


class SageServe(Rival):
    """The first region, in the client's order, whose memory use is below 0.7, else the least used.

    Source: SageServe (arXiv 2502.14617), its real-time routing; its forecasts and scaling are no
    routing. Regions are sites, nearest first; a site's use is the mean over its replicas. Within
    it the replica with the fewest tokens outstanding is taken.
    """

    report_interval_ns = 1 * NS_PER_S

    def __init__(self) -> None:
        super().__init__()
        self._rtt_ns: dict[str, int] = {}
        self._memory: dict[str, float] = {}
        self._outstanding: dict[str, int] = {}

    def on_rtt(self, endpoint: str, rtt_ns: int, now: int) -> None:
        """Distance gives the order of the sites."""
        _ = now
        self._rtt_ns[endpoint] = rtt_ns

    def on_load(self, report: LoadReport, now: int) -> None:
        """Memory use of one replica."""
        _ = now
        self._memory[report.endpoint] = report.kv_usage

    def choose(self, request: Request, usable: list[str], now: int, rng: random.Random) -> str:
        """See the class."""
        _ = request, now, rng
        sites: dict[str, list[str]] = {}
        for name in sorted(usable, key=lambda name: self._rtt_ns.get(name, 0)):
            sites.setdefault(self.endpoints[name].site, []).append(name)
        use = {site: self._use(names) for site, names in sites.items()}
        room = [site for site in sites if use[site] < _MEMORY_MAX]
        site = room[0] if room else min(sites, key=use.__getitem__)
        return min(sites[site], key=lambda name: self._outstanding.get(name, 0))

    def saw_send(self, request: Request, endpoint: str, now: int) -> None:
        """Its tokens are outstanding."""
        _ = now
        tokens = request.prompt_tokens + request.max_new_tokens
        self._outstanding[endpoint] = self._outstanding.get(endpoint, 0) + tokens

    def saw_end(self, request: Request, outcome: Ended, now: int) -> None:
        """Its tokens are done."""
        _ = now
        self._outstanding[outcome.endpoint] -= request.prompt_tokens + request.max_new_tokens

    def _use(self, names: list[str]) -> float:
        return sum(self._memory.get(name, 0.0) for name in names) / len(names)
