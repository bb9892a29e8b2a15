"""The state of a fleet as all workers of one router see it together.

What each has for itself (sessions, streams, turns, money) adds up. What all of them see alike, an
endpoint's load or a month's spending, is the greatest that any sees, or as the freshest report has
it. An endpoint that one worker reaches and another does not is in between: suspect.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from wire.spillway.v1 import fleet_pb2 as pb

_FLEET_SUMS: Final = ("sessions", "open_streams", "refused", "resumed")
_SITE_SUMS: Final = (
    "sessions", "open_streams", "turns", "tokens", "failures", "cost_usd", "overflow_turns",
)  # fmt: skip
_SITE_GREATEST: Final = (
    "prefix_hit_tokens", "prefix_query_tokens", "ttft_s_p50", "ttft_s_p99", "itl_s_p50",
    "itl_s_p99", "warming_share", "lease_until_unix_ns",
)  # fmt: skip
_VERSION_SUMS: Final = ("answers", "failed", "first_tokens", "late", "streams", "slow")
_TENANT_SUMS: Final = ("waiting", "admitted", "refused", "work_tokens")


def summed(states: Sequence[pb.FleetState]) -> pb.FleetState:
    """The states of all workers as one; of none, a fleet of which nothing is known."""
    whole = pb.FleetState()
    if states:
        whole.CopyFrom(states[0])
    whole.sampled_unix_ns = time.time_ns()
    _add(whole, states, _FLEET_SUMS)
    _replace(whole.sites, _alike([state.sites for state in states], lambda one: one.name), _site)
    tenants = _alike([state.tenants for state in states], lambda one: one.name)
    _replace(whole.tenants, tenants, lambda alike: _total(alike, _TENANT_SUMS))
    budgets = _alike([state.budgets for state in states], lambda one: (one.site, one.tenant))
    _replace(whole.budgets, budgets, _budget)
    rollouts = _alike([state.rollouts for state in states], lambda one: one.name)
    _replace(whole.rollouts, rollouts, _rollout)
    stood_in = _alike([one.stood_in for one in states], lambda one: (one.model, one.stand_in))
    _replace(whole.stood_in, stood_in, lambda alike: _total(alike, ("turns",)))
    if any(state.HasField("store") for state in states):
        whole.store.CopyFrom(_store([state.store for state in states if state.HasField("store")]))
    for name in ("reload_problem", "audit_problem"):
        setattr(whole, name, next((said for one in states if (said := getattr(one, name))), ""))
    whole.audit_head = ""  # each has a log of its own
    return whole


def _site(sites: Sequence[pb.SiteState]) -> pb.SiteState:
    whole = pb.SiteState()
    whole.CopyFrom(sites[0])
    _add(whole, sites, _SITE_SUMS)
    _greatest(whole, sites, _SITE_GREATEST)
    whole.draining = any(site.draining for site in sites)
    whole.trouble = min(site.trouble for site in sites)
    endpoints = _alike([site.endpoints for site in sites], lambda one: one.name)
    _replace(whole.endpoints, endpoints, _endpoint)
    scaling = next((site.scaling for site in sites if site.HasField("scaling")), None)
    if scaling is not None:  # all say what the first of them wants
        whole.scaling.CopyFrom(scaling)
    return whole


def _endpoint(endpoints: Sequence[pb.EndpointState]) -> pb.EndpointState:
    whole = pb.EndpointState()
    heard = [one for one in endpoints if one.report_age_s >= 0]
    whole.CopyFrom(min(heard or endpoints, key=lambda one: one.report_age_s))
    _add(whole, endpoints, ("in_flight",))
    health = {one.health for one in endpoints}
    whole.health = health.pop() if len(health) == 1 else pb.EndpointState.SUSPECT
    whole.linked = any(one.linked for one in endpoints)
    return whole


def _rollout(rollouts: Sequence[pb.RolloutState]) -> pb.RolloutState:
    """As told by one that has taken the new version back, where any has."""
    whole = pb.RolloutState()
    whole.CopyFrom(next((one for one in rollouts if one.returned), rollouts[0]))
    for version in ("standing", "new"):
        parts = [getattr(one, version) for one in rollouts]
        _add(getattr(whole, version), parts, _VERSION_SUMS)
    return whole


def _total(alike: Sequence[Any], names: Iterable[str]) -> Any:
    whole = type(alike[0])()
    whole.CopyFrom(alike[0])
    _add(whole, alike, names)
    return whole


def _budget(budgets: Sequence[pb.BudgetState]) -> pb.BudgetState:
    whole = pb.BudgetState()
    whole.CopyFrom(max(budgets, key=lambda one: (one.month, one.spent_usd)))
    return whole


def _store(stores: Sequence[pb.SharedState]) -> pb.SharedState:
    held: dict[str, float] = {}
    for one in (one for store in stores for one in store.held):
        held[one.bucket] = held.get(one.bucket, 0.0) + one.amount
    return pb.SharedState(
        away=any(store.away for store in stores),
        routers=max(store.routers for store in stores),
        held=[pb.Held(bucket=bucket, amount=amount) for bucket, amount in held.items()],
    )


def _alike(lists: Iterable[Iterable[Any]], key: Any) -> list[list[Any]]:
    """What several tell of the same thing, together, in the order in which it is first told."""
    found: dict[Any, list[Any]] = {}
    for one in (one for told in lists for one in told):
        found.setdefault(key(one), []).append(one)
    return [*found.values()]


def _replace(into: Any, groups: Iterable[Sequence[Any]], together: Any) -> None:
    whole = [together(group) for group in groups]
    del into[:]
    into.extend(whole)


def _add(whole: Any, parts: Sequence[Any], names: Iterable[str]) -> None:
    for name in names:
        setattr(whole, name, sum(getattr(part, name) for part in parts))


def _greatest(whole: Any, parts: Sequence[Any], names: Iterable[str]) -> None:
    for name in names:
        setattr(whole, name, max(getattr(part, name) for part in parts))
