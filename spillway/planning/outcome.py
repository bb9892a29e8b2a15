"""A plan as rows of a table, as sentences and as JSON."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from spillway.planning.offer import Offer
from spillway.planning.search import Plan
from spillway.planning.trial import Trial

COLUMNS = ("plan", "replicas", "committed", "metered at most", "usd/month", "in time", "p95 TTFT")


def rows(plan: Plan) -> list[tuple[str, ...]]:
    """The best plan, what it is compared with, what losing a site does, and the frontier."""
    found = [_row("best" if plan.is_met else "nearest", plan.best)]
    found += [
        _row(name, trial) if trial else (name, "-", "-", "-", "-", "cannot", "-")
        for name, trial in (("home only", plan.home_only), ("rented only", plan.rented_only))
    ]
    found += [_row(f"best, {name} lost", trial) for name, trial in plan.without.items()]
    found += [_row("frontier", trial) for trial in plan.frontier]
    return found


def sentence(plan: Plan, offers: Sequence[Offer]) -> str:
    """The answer."""
    parts = []
    for offer in offers:
        site = plan.best.sites[offer.site.name]
        if not site.replicas:
            continue
        metered = site.replicas - site.committed
        part = f"{site.replicas} at {offer.site.name} ({offer.hardware})"
        if not offer.is_home:
            part += f", {site.committed} of them committed and up to {metered} metered"
        parts.append(part)
    what = "; ".join(parts) or "no replicas at all"
    share = f"{100 * plan.best.attainment:.2f} % of turns in time"
    cost = f"{plan.best.usd_per_month:,.0f} USD a month"
    if plan.is_met:
        return f"{what}: {share} for {cost}."
    return (
        f"No plan keeps {100 * plan.objective:g} % of turns in time; "
        f"{what} come nearest: {share} for {cost}."
    )


def as_json(plan: Plan) -> dict[str, Any]:
    """Everything that was found out."""
    return {
        "objective": plan.objective,
        "is_met": plan.is_met,
        "trials": plan.trials,
        "best": _json(plan.best),
        "home_only": _json(plan.home_only),
        "rented_only": _json(plan.rented_only),
        "without": {name: _json(trial) for name, trial in plan.without.items()},
        "frontier": [_json(trial) for trial in plan.frontier],
    }


def _json(trial: Trial | None) -> dict[str, Any] | None:
    if trial is None:
        return None
    p95_s = trial.ttft_p95_s if math.isfinite(trial.ttft_p95_s) else None  # JSON knows no infinity
    return asdict(trial) | {"usd_per_month": trial.usd_per_month, "ttft_p95_s": p95_s}


def _row(name: str, trial: Trial) -> tuple[str, ...]:
    sites = {site: plan for site, plan in trial.sites.items() if plan.replicas}
    return (
        name,
        " + ".join(f"{plan.replicas} {site}" for site, plan in sites.items()) or "none",
        str(sum(plan.committed for plan in sites.values())),
        str(sum(plan.replicas - plan.committed for plan in sites.values())),
        f"{trial.usd_per_month:,.0f}",
        f"{100 * trial.attainment:.2f} %",
        f"{trial.ttft_p95_s:.2f} s" if math.isfinite(trial.ttft_p95_s) else "-",
    )
