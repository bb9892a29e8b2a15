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


FORMER_MAX = 32
"""Classes that are hedged no longer, and whose budgets are remembered for when they are again."""


def hedge_id(request: str) -> str:
    """The id by which the core knows a request's second attempt."""
    return f"{request}~hedge"


class Hedging:
    """The budgets of one router, and which endpoint a hedge goes to."""

    def __init__(self, fleet: Fleet, registry: Registry, decider: Decider) -> None:
        self._registry = registry
        self._decider = decider
        self._requests: dict[str, RetryBudget] = {}
        self._money: dict[str, Budget | Allowance] = {}
        self._former: dict[str, tuple[RetryBudget, Budget | Allowance]] = {}
        self.adopt(fleet, 0)

    def adopt(self, fleet: Fleet, now: int) -> None:
        """The fleet has these classes; what was spent of a class's budgets stays spent."""
        hedged = [slo for slo in fleet.slo_classes if slo.hedge_share > 0.0]
        former = self._former | {n: (one, self._money[n]) for n, one in self._requests.items()}
        self._requests, self._money = {}, {}
        for slo in hedged:
            requests, money = former.pop(slo.name, (None, None))
            requests = requests or RetryBudget(slo.hedge_share, _BURST)
            requests.resize(slo.hedge_share, _BURST)
            self._requests[slo.name] = requests
            self._money[slo.name] = self._budget(slo, money, now, shared=fleet.shares)
        self._former = dict([*former.items()][-FORMER_MAX:])

    @property
    def allowances(self) -> tuple[Allowance, ...]:
        """What of the money is shared with other routers."""
        return tuple(one for one in self._money.values() if isinstance(one, Allowance))

    def _budget(
        self, slo: SloClass, budget: Budget | Allowance | None, now: int, *, shared: bool
    ) -> Budget | Allowance:
        """The money for a class: what there is of it, where there is any."""
        usd = slo.hedge_usd_per_hour
        bucket = shared_bucket(f"usd/hedge/{slo.name}", usd, NS_PER_HOUR)
        if shared and usd:
            if isinstance(budget, Allowance):
                budget.resize(bucket, now)
                return budget
            return Allowance(bucket)
        if isinstance(budget, Budget):
            budget.resize(usd, NS_PER_HOUR, now)
            return budget
        return Budget(usd, NS_PER_HOUR)

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
        verdict = self._decider.decide_model(request, here, now, rng, flight.attempt + 1)
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
