"""Tells operators of months that cost much: once for each budget, month and mark."""

import logging
from collections.abc import Iterable

from router.policy.snapshot import BudgetSnapshot

_log = logging.getLogger(__name__)


class BudgetWatch:
    """Remembers what was said."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str, int, bool]] = set()  # site, tenant, month, whether spent

    def look(self, budgets: Iterable[BudgetSnapshot]) -> None:
        """Says what was not said before."""
        budgets = tuple(budgets)
        months = {budget.month for budget in budgets}
        self._said = {said for said in self._said if said[2] in months}
        for budget in budgets:
            whose = f"site {budget.site}" if budget.site else f"tenant {budget.tenant}"
            spent = f"{whose} has cost {budget.spent_usd:.2f} USD in {_written(budget.month)}"
            if budget.is_high and self._is_new(budget, spent=False):
                _log.warning("%s, over the %.2f USD to warn of", spent, budget.warn_usd)
            if budget.is_spent and self._is_new(budget, spent=True):
                _log.warning(
                    "%s of a budget of %.2f USD: nothing more goes where it costs, until the"
                    " month is over",
                    spent,
                    budget.most_usd,
                )

    def _is_new(self, budget: BudgetSnapshot, *, spent: bool) -> bool:
        said = (budget.site, budget.tenant, budget.month, spent)
        if not budget.month or said in self._said:
            return False
        self._said.add(said)
        return True


def _written(month: int) -> str:
    return f"{month // 100}-{month % 100:02d}"
