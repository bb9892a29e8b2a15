"""What deploy/monitoring asks of a router, and a router that tells all of it."""

import contextlib
import dataclasses
import json
from pathlib import Path

import yaml

from router.live.settings import DecisionLog, LedgerSettings, StoreSettings
from router.policy.fleet import Price, Site, SiteKind
from router.policy.rollout import Rollout
from tests.router.live.conftest import HOME, SETTINGS, address, ask, engine, fleet_of, route

MONITORING = Path(__file__).parents[2] / "deploy" / "monitoring"


def board():
    """The dashboard."""
    return json.loads((MONITORING / "grafana-dashboard.json").read_text())


def queries():
    """What the dashboard asks, with what it shows of each answer."""
    return [
        (target["expr"], target["legendFormat"])
        for panel in board()["panels"]
        for target in panel.get("targets", ())
    ]


def rules():
    """The alerts."""
    from_file = yaml.safe_load((MONITORING / "alerts.yaml").read_text())
    [group] = from_file["groups"]
    return group["rules"]


@contextlib.asynccontextmanager
async def everything_on(folder, **settings):
    """A router with everything that has metrics turned on, and a request behind it."""
    settings = dataclasses.replace(
        SETTINGS,
        store=StoreSettings(url="redis://127.0.0.1:1", timeout_s=0.1),
        decision_log=DecisionLog(folder / "decisions.jsonl"),
        ledger=LedgerSettings(folder / "ledger.sqlite"),
        **settings,
    )
    price = Price(
        metered_usd_per_replica_hour=3.0,
        budget_usd_per_hour=3.0,
        budget_usd_per_month=30.0,
        warn_usd_per_month=20.0,
    )
    fleet = fleet_of(HOME, Site("cloud", SiteKind.RENTED, price=price))
    fleet = dataclasses.replace(fleet, rollouts=(Rollout("chat", "fake", "new", share=0.1),))
    async with (
        engine(itl_s=0) as server,
        route({"home": [address(server)]}, settings, fleet) as routed,
    ):
        await routed.stream(ask(), metadata=(("x-spillway-tenant", "team"),))
        yield routed
