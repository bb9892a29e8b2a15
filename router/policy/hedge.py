"""Hedging: a second site is asked for a first token that is overdue at the first.

A class that asks for it (`hedge_share`) has a request sent to another site as well once its first
token has failed to come by the time that was promised with the class's confidence, and a quarter of
its objective has passed. Whichever site
gives a first token first goes on; the other's attempt is cancelled. Waiting for the promise to be
broken is what makes it cheap: with a confidence of 0.95 one request in twenty is hedged, and those
are the ones that have an endpoint to doubt.

Both budgets bound it: hedges are at most `hedge_share` of the class's requests, and what they are
expected to cost on metered capacity is at most `hedge_usd_per_hour`. The site's own budget counts
them like any other request. A fleet that is slow because it is full is not hedged: the other site
must have room, and be predicted to answer within the objective.
"""

import random
from dataclasses import replace

from router.policy.allowance import Allowance
from router.policy.decider import Decider, Verdict
from router.policy.fleet import Fleet, SloClass
from router.policy.flight import Flight
from router.policy.registry import Registry
from router.policy.retry_budget import RetryBudget
from router.policy.spend import Budget, shared_bucket
from router.policy.units import NS_PER_HOUR

_BURST = 10  # hedges at once, as with retries


def hedge_id(request: str) -> str:
    """The id by which the core knows a request's second attempt."""
    return f"{request}~hedge"


class Hedging:
    """The budgets of one router, and which endpoint a hedge goes to."""

    def __init__(self, fleet: Fleet, registry: Registry, decider: Decider) -> None:
        self._registry = registry
        self._decider = decider
        hedged = [slo for slo in fleet.slo_classes if slo.hedge_share > 0.0]
        self._requests = {slo.name: RetryBudget(slo.hedge_share, _BURST) for slo in hedged}
        own = {slo.name: Budget(slo.hedge_usd_per_hour, NS_PER_HOUR) for slo in hedged}
        shared = {
            slo.name: Allowance(
                shared_bucket(f"usd/hedge/{slo.name}", slo.hedge_usd_per_hour, NS_PER_HOUR)
            )
            for slo in hedged
            if fleet.shares and slo.hedge_usd_per_hour
        }
        self.allowances = tuple(shared.values())
        self._money: dict[str, Budget | Allowance] = {**own, **shared}

    def on_request(self, slo: SloClass) -> None:
        """A request of this class was sent: it earns a share of a hedge."""
        budget = self._requests.get(slo.name)
        if budget is not None:
            budget.on_request()

    def decide(self, flight: Flight, now: int, rng: random.Random) -> Verdict | None:
        """Where a request without a first token is sent as well, paid for; None: nowhere."""
        slo, site = flight.slo_class, self._registry.by_name[flight.endpoint].site
        if slo.name not in self._requests:
            return None
        here = tuple(name for name, one in self._registry.by_name.items() if one.site is site)
        request = replace(flight.request, id=hedge_id(flight.request.id), session="")
        verdict = self._decider.decide(request, here, now, rng, flight.attempt + 1)
        chosen, need = verdict.chosen, verdict.need
        if need is None or chosen is None or not (verdict.room and chosen.meets_objective):
            return None
        money = self._money[slo.name]
        if chosen.price_usd > 0.0 and money.level(now) < chosen.price_usd:
            if isinstance(money, Allowance):
                money.ask(chosen.price_usd, now)
            return None
        if not self._requests[slo.name].take():
            return None
        money.use(chosen.price_usd, now)
        need.tried = ()
        return verdict
