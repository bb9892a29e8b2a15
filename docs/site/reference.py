"""The pages of the reference, made from the code that they tell of."""

from pathlib import Path
from typing import Final

import fleet_keys
import typer
from prometheus_client import CollectorRegistry
from typer.cli import get_docs_for_click

from router.live.acting import Acting
from router.live.standing import AuditStanding, FileStanding
from router.observe.fleet_collector import FleetCollector
from router.observe.metrics import Metrics
from router.policy.core import RouterCore
from router.policy.endpoint import Endpoint
from router.policy.fleet import Fleet, Site, SiteKind, SloClass, Tenant
from router.policy.loan import Away
from router.policy.units import NS_PER_S
from spillway import cli

_SERVICES: Final = ("wire/spillway/v1", "wire/vllm", "wire/kserve", "wire/engine")
_FLEET: Final = Fleet(
    (Site("home", SiteKind.HOME),),
    (SloClass("chat", NS_PER_S, NS_PER_S),),
    "chat",
    tenants=(Tenant("acme"),),
)
"""The smallest one of which every metric has a series."""


def pages(root: Path) -> dict[str, str]:
    """The text of each page by its name; `root` is the repository's folder."""
    fleet = (root / "docs" / "fleet.md").read_text()
    return {
        "command.md": _command(),
        "fleet.md": fleet_keys.page(fleet),
        "metrics.md": _metrics(),
        "api.md": _api(root),
    }


def _command() -> str:
    command = typer.main.get_command(cli.app)
    context = command.make_context("spillway", [], resilient_parsing=True)
    return get_docs_for_click(obj=command, ctx=context, name="spillway", title="Every command")


def _metrics() -> str:
    registry = CollectorRegistry()
    metrics = Metrics(registry, ["home"])
    metrics.on_call("GenerateStream", "OK")
    metrics.watch_links("home", int, int)
    metrics.watch_discovery("home", bool)
    metrics.watch_lent("home", Away)
    metrics.set_wanted("home", 0)
    core = RouterCore(_FLEET)
    core.on_endpoint_up(Endpoint("home/engine", "home", "model"), 0)
    registry.register(FileStanding("", 0))
    registry.register(AuditStanding(Acting("router", None)))
    registry.register(FleetCollector(lambda: core.snapshot(0)))
    rows = []
    for family in sorted(registry.collect(), key=lambda one: one.name):
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        name = f"{family.name}_total" if family.type == "counter" else family.name
        said = family.documentation.replace("|", "\\|")
        rows.append(f"| `{name}` | {family.type} | {', '.join(sorted(labels))} | {said} |")
    head = (
        "# Every metric\n\n[Metrics](../metrics.md) says what they are for, and has those besides"
        " of what not every router has: a store, a ledger, a decision log, workers.\n\n"
    )
    return head + "| metric | type | labels | meaning |\n|---|---|---|---|\n" + "\n".join(rows)


def _api(root: Path) -> str:
    protos = [proto for folder in _SERVICES for proto in sorted((root / folder).glob("*.proto"))]
    parts = [
        f"## {proto.relative_to(root)}\n\n```protobuf\n{proto.read_text()}```\n" for proto in protos
    ]
    return "# Every call\n\nThe services as they are on the wire.\n\n" + "\n".join(parts)
