"""What the workers of one router tell each other of demand, and of what is wanted for it.

The first worker decides what sites should have, by what all of them were asked. The others tell it,
and publish what it wants as their own: whoever reaches any of them hears the same.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from router.live.host_feed import HostFeed
from router.live.timed_core import TimedCore
from router.policy.fleet import SiteKind
from router.policy.scaling.capacity import Sample
from router.policy.scaling.crew import Crew, SiteDone, Told
from router.policy.scaling.demand import Asked
from router.policy.units import NS_PER_S
from wire.spillway.v1 import fleet_pb2
from wire.spillway.v1 import host_pb2 as pb

WANTS_FRESH_NS: Final = 30 * NS_PER_S
"""The first worker is started anew, and finds what there is, in less or in little more; what it
wanted before that is no longer said by then."""


class ScalingCrew:
    """One worker among them."""

    def __init__(
        self, feed: HostFeed, core: TimedCore, unix_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._feed, self._core, self._unix_ns = feed, core, unix_ns
        self._began = unix_ns()
        self._crew = Crew()
        self._heard: Mapping[str, fleet_pb2.Scaling] = {}
        self._heard_ns = 0

    @property
    def leads(self) -> bool:
        """Whether this worker decides."""
        return self._feed.leads

    def sample(self) -> Sample | None:
        """What all were asked; None while the others cannot be heard."""
        if not self._feed.is_joined:
            return None
        return self._crew.with_own(self._core.scaling_sample())

    def spent_usd(self, sites: Iterable[str]) -> tuple[float, int]:
        """What the others have spent at these sites, and how many they are."""
        return self._crew.spent_usd(sites), self._crew.processes

    def tell(self) -> None:
        """Has the others know what this worker was asked."""
        sample = self._core.scaling_sample()
        spent = {
            site.name: site.spend_usd
            for site in self._core.snapshot().sites
            if site.kind is SiteKind.RENTED
        }
        asked = sample.asked
        self._feed.say(
            pb.Said(
                demand=pb.Demand(
                    worker=self._feed.worker,
                    began=self._began,
                    requests=asked.requests,
                    prompt_tokens=asked.prompt_tokens,
                    output_tokens=asked.output_tokens,
                    pressed=asked.pressed,
                    missed=asked.missed,
                    sites=[
                        pb.SiteDone(
                            site=site.name,
                            work_tokens=site.work_tokens,
                            overflowed=site.overflowed,
                            spent_usd=spent.get(site.name, 0.0),
                        )
                        for site in sample.sites
                    ],
                )
            )
        )

    def say(self, wants: Mapping[str, fleet_pb2.Scaling]) -> None:
        """Has the others know what is wanted."""
        said = [pb.Want(site=site, scaling=scaling) for site, scaling in wants.items()]
        self._feed.say(pb.Said(wants=pb.Wants(wants=said)))

    def wants(self) -> Mapping[str, fleet_pb2.Scaling]:
        """What the first worker wants; nothing where it has not said so of late."""
        is_fresh = 0 <= self._unix_ns() - self._heard_ns <= WANTS_FRESH_NS
        return self._heard if is_fresh else {}

    def hear_demand(self, told: pb.Demand) -> None:
        """Another worker told what it was asked."""
        asked = Asked(
            told.requests, told.prompt_tokens, told.output_tokens, told.pressed, told.missed
        )
        sites = {
            one.site: SiteDone(one.work_tokens, one.overflowed, one.spent_usd) for one in told.sites
        }
        self._crew.hear(Told(told.worker, told.began, asked, sites))

    def hear_wants(self, wants: pb.Wants) -> None:
        """The first worker told what it wants."""
        self._heard = {one.site: one.scaling for one in wants.wants}
        self._heard_ns = self._unix_ns()
