"""Together, the workers of a router spend and keep no more than one would."""

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from router.live.settings import DecisionLog, RouterSettings, StoreSettings
from router.policy.fleet import Fleet, Price, Site, SiteKind, SloClass, Tenant
from router.policy.spend import Spend
from router.policy.tenants import QUOTAS
from spillway.fleet import FleetFile
from spillway.workers.share import share_of

PRICE = Price(metered_usd_per_replica_hour=2.0, budget_usd_per_hour=10.0, budget_usd_per_month=90.0)
SITES = (Site("home", SiteKind.HOME), Site("cloud", SiteKind.RENTED, price=PRICE))
SLO = SloClass("chat", ttft_ns=1, itl_ns=1, hedge_usd_per_hour=3.0)
FLEET = Fleet(SITES, (SLO,), "chat", tenants=(Tenant("acme", tokens_per_minute=900), Tenant("b")))


@given(st.integers(2, 64))
def test_bounds_and_budgets_add_up(workers):
    """Whatever their number; what has no bound gets none."""
    file = FleetFile(FLEET, (), RouterSettings(streams_max=1_000))
    parts = [share_of(file, workers, number) for number in range(workers)]
    clouds = [part.fleet.site("cloud").price for part in parts]
    assert sum(price.budget_usd_per_hour for price in clouds) <= 10.0 + 1e-9
    assert sum(price.budget_usd_per_month for price in clouds) <= 90.0 + 1e-9
    assert {part.fleet.site("home").price.budget_usd_per_hour for part in parts} == {None}
    assert sum(part.fleet.slo("chat").hedge_usd_per_hour for part in parts) <= 3.0 + 1e-9
    assert sum(part.fleet.tenants[0].tokens_per_minute for part in parts) <= 900
    assert parts[0].fleet.tenants[1].tokens_per_minute is None
    for bound in ("streams_max", "requests_bytes_max", "resume_bytes_max"):
        whole = getattr(file.router, bound)
        assert 0 < sum(getattr(part.router, bound) for part in parts) <= whole
    assert sum(part.fleet.limits.queue_max for part in parts) <= FLEET.limits.queue_max


@given(st.sampled_from(QUOTAS), st.integers(1, 10_000), st.integers(2, 64))
def test_no_quota_is_multiplied_by_workers(quota, most, workers):
    """None of those that a tenant may have; each worker has at least one of each."""
    fleet = replace(FLEET, tenants=(Tenant("acme", **{quota: most}),))
    file = FleetFile(fleet, (), RouterSettings())
    parts = [share_of(file, workers, number).fleet.tenants[0] for number in range(workers)]
    assert sum(getattr(part, quota) for part in parts) <= max(most, workers)
    others = set(QUOTAS) - {quota}
    assert {getattr(part, other) for part in parts for other in others} == {None}


@given(st.integers(2, 64))
def test_the_calendar_months_budget_is_one_for_all_workers(workers):
    """Each hears from the ledger what all of them have spent."""
    file = FleetFile(FLEET, (), RouterSettings())
    cap = Spend(share_of(file, workers, 0).fleet.site("cloud")).cap
    cap.hear(202611, 89.0)
    assert cap.has_room(1.0)
    assert not cap.has_room(1.1)


def test_workers_that_share_a_store_divide_nothing():
    """The store knows what all of them spend."""
    settings = RouterSettings(store=StoreSettings(url="redis://127.0.0.1:1"))
    assert share_of(FleetFile(FLEET, (), settings), 4, 0).fleet == FLEET


def test_each_worker_writes_its_own_decision_log():
    """And none of them shows metrics or its health: the receiver does, for all."""
    log = DecisionLog(path=Path("log/decisions.jsonl"))
    file = FleetFile(FLEET, (), RouterSettings(decision_log=log, health_listen="0.0.0.0:1"))
    parts = [share_of(file, 2, number).router for number in range(2)]
    assert [str(part.decision_log.path) for part in parts] == [
        "log/decisions.jsonl.0",
        "log/decisions.jsonl.1",
    ]
    assert {part.metrics_listen for part in parts} == {None}
    assert {part.health_listen for part in parts} == {None}
