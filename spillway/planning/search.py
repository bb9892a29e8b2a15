"""The cheapest plan that meets the objective, and the others it was chosen from.

The search starts from everything that the sites offer and gives replicas back a step at a time,
each time at the site where that saves most while the objective is still met, until every step would
miss it. So it needs a number of trials that grows with the sites and not with their product. Each
plan that was tried is a point of cost and attainment; the frontier is those that no other beats in
both. Exhaustive search was rejected: three sites of a hundred replicas would be a million trials.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from router.policy.fleet import Fleet
from router.policy.units import NS_PER_S
from spillway.planning.demand import Demand
from spillway.planning.offer import Offer
from spillway.planning.trial import Trial, attempt

STEPS = 6  # into which a site's replicas are divided
TRIALS_MAX = 40
GROWN_MAX = 8  # times what a lone site has, when it is asked to carry everything

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """The answer."""

    objective: float
    best: Trial  # meets it at the least cost; or, where none does, comes nearest
    frontier: tuple[Trial, ...]  # by cost, each with better attainment than the one before
    without: dict[str, Trial]  # the best plan with a site gone
    home_only: Trial | None  # as many home replicas as it takes; None: even many do not meet it
    rented_only: Trial | None
    trials: int

    @property
    def is_met(self) -> bool:
        """Whether the best plan meets the objective."""
        return self.best.attainment >= self.objective


class Planner:
    """Tries plans for one fleet and demand, each once."""

    def __init__(
        self,
        fleet: Fleet,
        offers: Sequence[Offer],
        demand: Demand,
        progress: Progress,
        notice_ns: int = 30 * NS_PER_S,
    ) -> None:
        """`notice_ns` is what streams on a replica that is lent get to end there."""
        self._fleet, self._offers, self._demand = fleet, offers, demand
        self._progress = progress
        self._notice_ns = notice_ns
        self._tried: dict[tuple[tuple[str, int], ...], Trial] = {}

    def plan(self, objective: float) -> Plan:
        """Search; `objective` is the share of turns that must keep their class's objectives."""
        nearest = self._descend(objective)
        home = [offer for offer in self._offers if offer.is_home]
        rented = [offer for offer in self._offers if not offer.is_home]
        home_only = self._alone(home, objective, "home only")
        rented_only = self._alone(rented, objective, "rented only")
        offered = [trial for trial in self._tried.values() if self._is_offered(trial)]
        met = [trial for trial in offered if trial.attainment >= objective]
        best = min(met, key=_cost) if met else nearest
        frontier = _frontier(offered)
        lost = {
            name: self._try({**best.replicas, name: 0}, f"without {name}")
            for name, count in best.replicas.items()
            if count
        }
        return Plan(
            objective,
            best,
            frontier,
            lost,
            home_only,
            rented_only,
            len(self._tried),
        )

    def _descend(self, objective: float) -> Trial:
        """From everything down, as long as the objective is met."""
        best = self._try({o.site.name: o.replicas for o in self._offers}, "everything")
        while best.attainment >= objective and len(self._tried) < TRIALS_MAX:
            smaller = [
                self._try(replicas, "fewer replicas")
                for replicas in self._steps_down(best.replicas)
            ]
            met = [trial for trial in smaller if trial.attainment >= objective]
            if not met:
                break
            best = min(met, key=_cost)
        return best

    def _is_offered(self, trial: Trial) -> bool:
        return all(trial.replicas[offer.site.name] <= offer.replicas for offer in self._offers)

    def _steps_down(self, replicas: Mapping[str, int]) -> Iterable[dict[str, int]]:
        for offer in self._offers:
            name = offer.site.name
            if replicas[name]:
                step = -(-offer.replicas // STEPS)
                yield {**replicas, name: max(0, replicas[name] - step)}

    def _alone(self, offers: Sequence[Offer], objective: float, why: str) -> Trial | None:
        """The fewest replicas of these sites alone that meet the objective, in their proportion."""
        if not offers:
            return None
        nothing = {offer.site.name: 0 for offer in self._offers}
        most = GROWN_MAX * STEPS
        low, high = 0, most + 1
        found: Trial | None = None
        while high - low > 1:  # what `low` parts cannot carry, `high` can or nothing can
            middle = (low + high) // 2
            parts = {o.site.name: -(-o.replicas * middle // STEPS) for o in offers}
            trial = self._try({**nothing, **parts}, why)
            if trial.attainment >= objective:
                found, high = trial, middle
            else:
                low = middle
        return found

    def _try(self, replicas: dict[str, int], why: str) -> Trial:
        key = tuple(sorted(replicas.items()))
        if key not in self._tried:
            self._progress(why)
            self._tried[key] = attempt(
                self._fleet, self._offers, replicas, self._demand, self._notice_ns
            )
        return self._tried[key]


def _frontier(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """Without those that keep nothing: doing nothing costs nothing."""
    frontier: list[Trial] = []
    for trial in sorted(trials, key=lambda one: (_cost(one), -one.attainment)):
        if trial.attainment > (frontier[-1].attainment if frontier else 0.0):
            frontier.append(trial)
    return tuple(frontier)


def _cost(trial: Trial) -> tuple[float, int]:
    """Dollars, and at equal cost (a metered replica that never works has none) fewer replicas."""
    return trial.usd_per_month, sum(trial.replicas.values())
