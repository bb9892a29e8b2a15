"""Which endpoints there are, by name and by the models that they serve."""

from collections.abc import Iterable
from itertools import islice

from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet, LatencyProfile
from router.policy.month_cap import Spent
from router.policy.pool import Pool
from router.policy.predictor import Costs, mean_costs
from router.policy.prior import Prior
from router.policy.purse import Purses
from router.policy.renewal import renew
from router.policy.site_state import SiteState
from router.policy.tracked import Tracked
from router.policy.warming import TurnCount

_LEARNED_AFTER = 5  # first tokens before an endpoint is an example to new ones
_EXAMPLES_MAX = 64  # of a site, the latest listed: a fleet of thousands must list in linear time


FORMER_MAX = 256
"""Sites that the fleet file has no longer, and whose budgets are remembered as they left."""


class Registry:
    """The endpoints that are up, those that are gone but still have streams, and their sites."""

    def __init__(self, fleet: Fleet) -> None:
        self._limits = fleet.limits
        self.confidences = tuple(sorted({slo.confidence for slo in fleet.slo_classes}))
        self.turns = TurnCount()
        self.sites = {
            site.name: SiteState(site, fleet.limits, self.turns, shared=fleet.shares)
            for site in fleet.sites
        }
        self._former: dict[str, SiteState] = {}  # for when they come back: spent is spent
        self.purses = Purses(fleet)
        self._spent = Spent(0)  # by others, as was told last
        self.by_name: dict[str, Tracked] = {}
        self._at: dict[str, dict[str, Tracked]] = {name: {} for name in self.sites}
        self._everything = Pool()
        self._pools: dict[str, Pool] = {"": self._everything}

    def adopt(self, fleet: Fleet, confidences: Iterable[float], now: int) -> tuple[str, ...]:
        """The fleet has these sites: what is learned of the others' endpoints stays.

        The endpoints of sites that it has no longer, which have to go. Such a site is there until
        its last stream is over, and remembered for what was spent there.
        """
        self._limits = fleet.limits
        self.purses.adopt(fleet, now)
        self.confidences = tuple(sorted(set(confidences)))
        before = {**self._former, **self.sites}
        self.sites = {}
        for site in fleet.sites:
            state = before.pop(site.name, None)
            if state is None:
                state = SiteState(site, fleet.limits, self.turns, shared=fleet.shares)
            else:
                state.adopt(site, fleet.limits, now)
            self.sites[site.name] = state
            self._at.setdefault(site.name, {})
        for name, state in before.items():
            state.leaving = True
            if name in self._at:
                self.sites[name] = state
        self._former = {k: v for k, v in before.items() if k not in self.sites}
        if self._spent.month:
            self.hear_spent(self._spent)  # new sites have not heard it
        for tracked in self.by_name.values():
            renew(tracked, fleet.limits, self.confidences)
            if not tracked.gone:
                self._rejoin(tracked)
        leaving = [name for name, state in self.sites.items() if state.leaving]
        return tuple(one for site in leaving for one in (*self._at[site],))

    def forget_left(self) -> None:
        """Sites that the fleet has no longer and where nothing is left are gone."""
        for name in [name for name, state in self.sites.items() if state.leaving]:
            if not self._at[name]:
                del self._at[name]
                self._former[name] = self.sites.pop(name)
        while len(self._former) > FORMER_MAX:
            del self._former[next(iter(self._former))]

    def _rejoin(self, tracked: Tracked) -> None:
        """Its site may have become home, or rented."""
        for pool in self._pools.values():
            if tracked in pool.members:
                pool.remove(tracked)
                pool.add(tracked)

    def up(self, endpoint: Endpoint) -> None:
        """An endpoint is listed. KeyError for a site that the fleet does not have."""
        site = self.sites[endpoint.site]
        if site.leaving:
            return
        if not site.met:
            site.met = True
            if any(other.warming.is_proven for other in self.sites.values()):
                site.warming.begin()
        tracked = self.by_name.get(endpoint.name)
        if tracked is None:
            prior = self._prior(endpoint)
            tracked = Tracked(endpoint, site, self._limits, self.confidences, prior)
            self.by_name[endpoint.name] = tracked
        elif tracked.endpoint == endpoint and not tracked.gone:
            return
        else:
            self._leave_pools(tracked)
            self._at[tracked.site.name].pop(tracked.name, None)
        was_site, was_model = tracked.site, tracked.endpoint.model
        self._at[site.name][endpoint.name] = tracked
        tracked.endpoint = endpoint
        tracked.adapters.learn(endpoint.identity)
        tracked.site = site
        self._forget_found(was_site, was_model)
        tracked.gone = False
        tracked.settle()
        for name in {"", endpoint.model, *endpoint.model_aliases}:
            self._pools.setdefault(name, Pool()).add(tracked)

    def down(self, name: str) -> None:
        """An endpoint is no longer listed."""
        tracked = self.by_name.get(name)
        if tracked is not None:
            tracked.gone = True
            tracked.settle()
            self._leave_pools(tracked)
            self.forget_if_done(tracked)

    def hear_spent(self, spent: Spent) -> None:
        """Others have spent this."""
        self._spent = spent
        self.purses.hear(spent)
        sites = dict(spent.sites)
        for name, site in {**self._former, **self.sites}.items():
            site.spend.cap.hear(spent.month, sites.get(name, 0.0))

    def lend(self, site: str, endpoints: frozenset[str]) -> None:
        """These of a site are lent, and no others. KeyError for an unknown site."""
        self.sites[site].lent = endpoints
        for tracked in self._at[site].values():
            tracked.settle()

    def forget_if_done(self, tracked: Tracked) -> None:
        """Forget an endpoint that is gone and has no streams left."""
        if tracked.gone and not tracked.in_flight:
            self.by_name.pop(tracked.name, None)
            self._at[tracked.site.name].pop(tracked.name, None)
            self._forget_found(tracked.site, tracked.endpoint.model)

    def pool(self, model: str) -> Pool | None:
        """The endpoints of a model; None for one that no endpoint has ever served.

        A model whose endpoints are all gone has an empty pool: it is known, and may come back.
        """
        return self._pools.get(model)

    @property
    def is_empty(self) -> bool:
        """Whether no endpoint is listed."""
        return not self._everything.members

    @property
    def is_large(self) -> bool:
        """Whether there are too many endpoints for a decision to judge all of them."""
        return self._everything.is_large

    def _forget_found(self, site: SiteState, model: str) -> None:
        """Forget what the endpoints of a model at a site found, where the last of them has left."""
        if not any(tracked.endpoint.model == model for tracked in self._at[site.name].values()):
            site.gap_limits.pop(model, None)

    def _leave_pools(self, tracked: Tracked) -> None:
        for pool in self._pools.values():
            pool.remove(tracked)

    def _prior(self, endpoint: Endpoint) -> Prior:
        """What endpoints like a new one are like.

        Those of its site where any has learned, else as the site was measured, else those of its
        model anywhere.
        """
        beside = self._examples(endpoint.site)
        near = [t.round_trip.mean_ns for t in beside if t.round_trip.is_measured]
        rtt_ns = sum(near) // len(near) if near else 0
        alike = _learned(beside, endpoint.model)
        profile = self.sites[endpoint.site].site.profile
        if not alike and profile is not None:
            return _as_measured(profile, rtt_ns)
        alike = alike or [
            tracked
            for site in self.sites
            for tracked in _learned(self._examples(site), endpoint.model)
        ]
        if not alike:
            return Prior(rtt_ns=rtt_ns)
        return Prior(
            costs=mean_costs([t.ttft.costs for t in alike]),
            itl_base_ns=sum(t.decode.base_ns for t in alike) / len(alike),
            itl_stream_ns=sum(t.decode.stream_ns for t in alike) / len(alike),
            rtt_ns=rtt_ns,
        )

    def _examples(self, site: str) -> list[Tracked]:
        """Endpoints of a site, which are much alike."""
        return list(islice(reversed(self._at[site].values()), _EXAMPLES_MAX))


def _as_measured(profile: LatencyProfile, rtt_ns: int) -> Prior:
    costs = Costs(float(profile.ttft_ns), float(profile.ttft_ns_per_prompt_token), 1.0)
    return Prior(costs, float(profile.itl_ns), float(profile.itl_ns_per_stream), rtt_ns)


def _learned(examples: list[Tracked], model: str) -> list[Tracked]:
    """Those of a model of which something is known."""
    return [
        tracked
        for tracked in examples
        if tracked.ttft.count >= _LEARNED_AFTER and tracked.endpoint.model == model
    ]
