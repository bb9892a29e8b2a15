"""`spillway site status`: what runs at a site, who it is, what failed and what to do."""

import asyncio
from typing import TYPE_CHECKING, Any

import typer

from spillway.commands.failure import Outcome
from spillway.commands.findings import as_json, write_findings
from spillway.commands.parameters import Json
from spillway.commands.site_target import Application, Fleet, Site, resolved
from spillway.commands.terminal import write, write_json, write_table

if TYPE_CHECKING:
    from spillway.probing.endpoint import EndpointFound

REPLICA_COLUMNS = ("replica", "model", "instance", "weights", "requests", "kv tokens", "rtt")


def status(
    site: Site, *, fleet: Fleet = None, application: Application = None, json: Json = False
) -> None:
    """Say how a site's engines are. The exit code is 1 where they do not run."""
    from spillway.doctor.finding import Level
    from spillway.sites.looking import look_at

    found, _, _ = resolved(site, fleet, application)
    now = found.status()
    targets = found.targets()
    shown: dict[str, Any] = {
        "application": found.name,
        "status": now.status if now else "NOT_DEPLOYED",
        "replicas_running": now.replicas_running if now else 0,
        "replicas_starting": now.replicas_starting if now else 0,
        "targets": targets,
        "message": now.message if now else "",
    }
    endpoints, findings = asyncio.run(look_at(site, fleet, found, now))
    if json:
        replicas = [_replica(one) for one in endpoints]
        write_json({**shown, "replicas": replicas, "findings": list(map(as_json, findings))})
    else:
        row = [
            ", ".join(value) if isinstance(value, list) else str(value) for value in shown.values()
        ]
        write_table(
            [key.replace("_", " ") for key in shown], [[" ".join(one.split()) for one in row]]
        )
        if endpoints:
            write("")
            write_table(REPLICA_COLUMNS, [_row(one) for one in endpoints])
        write("")
        write_findings(one for one in findings if one.level is not Level.OK)
    if now is None or now.status != "RUNNING":
        raise typer.Exit(Outcome.FAILED)


def _replica(one: "EndpointFound") -> dict[str, Any]:
    server = one.identity.server if one.identity else None
    return {
        "address": one.address,
        "model": one.identity.names[0] if one.identity else "",
        "instance": server.instance_id if server else "",
        "engine_version": server.engine_version if server else "",
        "weights_digest": one.engine.weights,
        "tokenizer_digest": one.engine.tokenizer,
        "numerics_digest": one.engine.numerics,
        "requests_max": one.report.max_running_requests if one.report else 0,
        "kv_tokens_max": one.report.kv_tokens_max if one.report else 0,
        "rtt_s": one.rtt_ns / 1e9,
        "why_not": one.why_not,
    }


def _row(one: "EndpointFound") -> tuple[str, ...]:
    from spillway.sites.checks import digest

    if not one.reached:
        return (one.address, "not reached", "-", "-", "-", "-", "-")
    found = _replica(one)
    return (
        one.address,
        found["model"],
        found["instance"][:12] or "-",
        digest(found["weights_digest"]),
        str(found["requests_max"] or "-"),
        str(found["kv_tokens_max"] or "-"),
        f"{one.rtt_ns / 1e6:.1f} ms",
    )
