"""The cheapest plan that meets the objective, and the others it was chosen from.

The search starts from everything that the sites offer and gives replicas back a step at a time,
each time at the site where that saves most while the objective is still met, until every step would
miss it. So it needs a number of trials that grows with the sites and not with their product. Each
plan that was tried is a point of cost and attainment; the frontier is those that no other beats in
both. Exhaustive search was rejected: three sites of a hundred replicas would be a million trials.

Trials that do not depend on each other run side by side, and come to the same whoever runs them.
How many are made depends on how much each simulates, so that an answer takes minutes for any load.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from router.policy.fleet import Fleet
from spillway.planning.demand import Demand
from spillway.planning.offer import Offer
from spillway.planning.trial import Trial
from spillway.planning.workshop import Workshop

STEPS = 6  # into which a site's replicas are divided
TRIALS_MAX = 40
TRIALS_MIN = 12
TURNS_OF_ALL = 160_000  # that the trials on the way down simulate: two or three minutes of one core
GROWN_MAX = 8  # times what a lone site has, when it is asked to carry everything
ALIKE_USD = 1.01  # costs that differ less are the same: a metered replica that idles costs nothing

Progress = Callable[[str], None]
Replicas = dict[str, int]
Sizing = Generator[Replicas, Trial, Trial | None]
"""Asks for plans to be tried, one by one, and returns the one that it was looking for."""


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
        *,
        notice_s: float = 30.0,
        processes: int = 1,
    ) -> None:
        """`notice_s` is what streams on a replica that is lent get to end there."""
        self._offers = offers
        self._progress = progress
        self._workshop = Workshop(fleet, offers, demand, notice_s, processes)
        self._tried: dict[tuple[tuple[str, int], ...], Trial] = {}
        turns = sum(spell.turns for spell in demand.spells)
        self._trials_max = max(TRIALS_MIN, min(TRIALS_MAX, TURNS_OF_ALL // max(1, turns)))

    def plan(self, objective: float) -> Plan:
        """Search; `objective` is the share of turns that must keep their class's objectives."""
        with self._workshop:
            return self._plan(objective)

    def _plan(self, objective: float) -> Plan:
        nearest = self._descend(objective)
        home = [offer for offer in self._offers if offer.is_home]
        rented = [offer for offer in self._offers if not offer.is_home]
        home_only, rented_only = self._side_by_side(
            [self._alone(home, objective), self._alone(rented, objective)]
        )
        offered = [trial for trial in self._tried.values() if self._is_offered(trial)]
        met = [trial for trial in offered if trial.attainment >= objective]
        best = _cheapest(met) if met else nearest
        frontier = _frontier(offered)
        stands = [name for name, count in best.replicas.items() if count]
        without = self._try([{**best.replicas, name: 0} for name in stands], "a site lost")
        lost = dict(zip(stands, without, strict=True))
        return Plan(objective, best, frontier, lost, home_only, rented_only, len(self._tried))

    def _descend(self, objective: float) -> Trial:
        """From everything down, as long as the objective is met."""
        everything = {offer.site.name: offer.replicas for offer in self._offers}
        (best,) = self._try([everything], "everything")
        while best.attainment >= objective and len(self._tried) < self._trials_max:
            smaller = self._try(list(self._steps_down(best.replicas)), "fewer replicas")
            met = [trial for trial in smaller if trial.attainment >= objective]
            if not met:
                break
            best = min(met, key=_cost)
        return best

    def _is_offered(self, trial: Trial) -> bool:
        return all(trial.replicas[offer.site.name] <= offer.replicas for offer in self._offers)

    def _steps_down(self, replicas: Mapping[str, int]) -> Iterable[Replicas]:
        for offer in self._offers:
            name = offer.site.name
            if replicas[name]:
                step = -(-offer.replicas // STEPS)
                yield {**replicas, name: max(0, replicas[name] - step)}

    def _alone(self, offers: Sequence[Offer], objective: float) -> Sizing:
        """The fewest replicas of these sites alone that meet the objective, in their proportion."""
        if not offers:
            return None
        nothing = {offer.site.name: 0 for offer in self._offers}
        low, high = 0, GROWN_MAX * STEPS + 1
        found: Trial | None = None
        while high - low > 1:  # what `low` parts cannot carry, `high` can or nothing can
            middle = (low + high) // 2
            parts = {o.site.name: -(-o.replicas * middle // STEPS) for o in offers}
            trial = yield {**nothing, **parts}
            if trial.attainment >= objective:
                found, high = trial, middle
            else:
                low = middle
        return found

    def _side_by_side(self, sizings: Sequence[Sizing]) -> list[Trial | None]:
        """What each finds, their trials run together."""
        found: list[Trial | None] = [None] * len(sizings)
        answers: dict[int, Trial | None] = dict.fromkeys(range(len(sizings)))
        while answers:
            asked: dict[int, Replicas] = {}
            for index, answer in answers.items():
                try:
                    asked[index] = sizings[index].send(answer)  # type: ignore[arg-type]
                except StopIteration as ended:
                    found[index] = ended.value
            trials = self._try(list(asked.values()), "home only, rented only")
            answers = dict(zip(asked, trials, strict=True))
        return found

    def _try(self, wanted: Sequence[Replicas], why: str) -> list[Trial]:
        keys = [tuple(sorted(replicas.items())) for replicas in wanted]
        new = [key for key in dict.fromkeys(keys) if key not in self._tried]
        for key, trial in zip(new, self._workshop.attempts(map(dict, new)), strict=True):
            self._progress(why)
            self._tried[key] = trial
        return [self._tried[key] for key in keys]


def _frontier(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """Without those that keep nothing: doing nothing costs nothing."""
    frontier: list[Trial] = []
    for trial in sorted(trials, key=lambda one: (_cost(one), -one.attainment)):
        if trial.attainment > (frontier[-1].attainment if frontier else 0.0):
            frontier.append(trial)
    return tuple(frontier)


def _cheapest(trials: Sequence[Trial]) -> Trial:
    """The fewest replicas among those that cost no more than the cheapest, or hardly more."""
    least_usd = min(trial.usd_per_month for trial in trials)
    alike = [trial for trial in trials if trial.usd_per_month <= ALIKE_USD * least_usd]
    return min(alike, key=lambda trial: (sum(trial.replicas.values()), trial.usd_per_month))


def _cost(trial: Trial) -> tuple[float, int]:
    """Dollars, and at equal cost (a metered replica that never works has none) fewer replicas."""
    return trial.usd_per_month, sum(trial.replicas.values())
