"""What the other processes of this router want of a worker, done to its own parts."""

from collections.abc import Awaitable, Callable, Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest

from router.live.control import abort
from router.live.host_feed import Word
from router.live.host_hub import METRICS
from router.live.inference import Inference
from router.live.lender import Lender
from router.live.roster import Roster
from router.live.scaling_crew import ScalingCrew
from router.live.timed_core import TimedCore
from router.observe.event import DrainChanged, LoansChanged, RolloutChanged
from wire.spillway.v1 import host_pb2 as pb


class Others:
    """See `router.live.host_feed.Listener`."""

    def __init__(
        self,
        core: TimedCore,
        roster: Roster,
        lender: Lender,
        inference: Inference,
        crew: ScalingCrew,
        registry: CollectorRegistry,
        page: Callable[[str, bytes], Awaitable[bytes]],
    ) -> None:
        """`page` answers what the page of all workers asks."""
        self._core = core
        self._roster = roster
        self._lender = lender
        self._inference = inference
        self._crew = crew
        self._registry = registry
        self._page = page

    def hear_happening(self, happening: Word) -> None:
        """See Listener. Of a site that a reload has taken out, nothing is to be done."""
        if isinstance(happening, LoansChanged):
            self._lender.hear(happening)
        elif not isinstance(happening, DrainChanged) or self._has(happening.site):
            self._core.tell(happening)

    async def hear_abort(self, request_ids: Iterable[str]) -> None:
        """See Listener."""
        await abort(self._roster, self._inference, request_ids)

    def hear_demand(self, told: pb.Demand) -> None:
        """See Listener."""
        self._crew.hear_demand(told)

    def hear_wants(self, wants: pb.Wants) -> None:
        """See Listener."""
        self._crew.hear_wants(wants)

    def draining_sites(self) -> Iterable[str]:
        """See Listener."""
        return [site.name for site in self._core.snapshot().sites if site.drained]

    def all_loans(self) -> Iterable[LoansChanged]:
        """See Listener."""
        return self._lender.all_loans()

    def returned(self) -> Iterable[RolloutChanged]:
        """See Listener."""
        return [
            RolloutChanged(one.name, one.returned, one.new.model)
            for one in self._core.snapshot().rollouts
            if one.returned
        ]

    async def answer(self, what: str, body: bytes) -> bytes:
        """See Listener."""
        if what == METRICS:
            told: bytes = generate_latest(self._registry)  # type: ignore[no-untyped-call]
            return told
        return await self._page(what, body)

    def _has(self, name: str) -> bool:
        return any(site.name == name for site in self._core.snapshot().sites)
