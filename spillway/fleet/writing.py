"""Writes a fleet file: the text that reads back as the same values."""

from collections.abc import Mapping
from typing import Any

from router.live.settings import SiteAccess
from router.policy.fleet import Price, Site
from spillway.fleet import lending, scaling, versions
from spillway.fleet.kinds import utc_time
from spillway.fleet.quantity import USD_PER_GIB, USD_PER_HOUR, USD_PER_MONTH
from spillway.fleet.section import written
from spillway.fleet.source import dump
from spillway.fleet.values import APPLICATION, Deployment, FleetFile


def write(file: FleetFile) -> str:
    """The YAML text of a fleet; what has its default is left out."""
    return dump(content_of(file))


def content_of(file: FleetFile) -> dict[str, Any]:
    """The same as plain values, by the file's keys."""
    deployments = {one.site: one for one in file.deployments}
    rollouts = {one.name: one for one in file.fleet.rollouts}
    content: dict[str, Any] = {
        "sites": {
            site.name: _site(site, file.access_to(site.name), deployments.get(site.name))
            for site in file.fleet.sites
        },
        "models": {
            one.name: _filled(
                source=one.source,
                versions=versions.written(rollouts.get(one.name)),
                aliases=list(one.aliases),
            )
            for one in file.models
        },
        "slo_classes": {
            slo.name: written(slo, without=("name",)) for slo in file.fleet.slo_classes
        },
        "default_slo": file.fleet.default_slo,
        "tenants": {one.name: written(one, without=("name",)) for one in file.fleet.tenants},
        "limits": written(file.fleet.limits),
        "autoscaling": written(file.fleet.autoscaling),
        "router": written(file.router),
    }
    return _filled(**content)


def _site(site: Site, access: SiteAccess, deployment: Deployment | None) -> dict[str, Any]:
    return _filled(
        kind=site.kind.value,
        region=site.region,
        ray=_ray(access, deployment),
        endpoints=list(access.endpoints),
        link=None if access.link else "off",
        direct=None if access.direct or access.tls else "off",
        door=access.door,
        tls=written(access.tls) if access.tls else None,
        plaintext=access.plaintext,
        capacity=_capacity(site, access, deployment),
        price=_price(site.price),
        lend=lending.written(site.lending),
        reclaim=written(site.reclaim),
        lease_until=None
        if site.lease_until_unix_ns is None
        else utc_time(site.lease_until_unix_ns),
        profile=written(site.profile) if site.profile else None,
        scale=scaling.written(site.scale, deployment.asks if deployment else {}),
        model=deployment.model if deployment else None,
        serving=_plain(deployment.arguments) if deployment else None,
    )


def _ray(access: SiteAccess, deployment: Deployment | None) -> dict[str, Any]:
    if access.dashboard_url is None:
        return {}
    return _filled(
        dashboard=access.dashboard_url,
        application=None if access.application == APPLICATION else access.application,
        host=access.host,
        runtime_env=_plain(deployment.runtime_env) if deployment else None,
    )


def _capacity(site: Site, access: SiteAccess, deployment: Deployment | None) -> dict[str, Any]:
    committed = site.price.committed_replicas
    kind: dict[str, Any] = {"hardware": site.hardware} if site.hardware else {}
    kind |= {"gpus": site.gpus} if site.gpus > 1 else {}
    if deployment is not None:
        return {"replicas": deployment.replicas, "committed": committed, **kind}
    replicas = committed
    if site.lending is not None and access.dashboard_url is not None:
        replicas = site.lending.replicas - len(access.endpoints)
    return {"replicas": replicas, "committed": committed, **kind} if replicas or kind else {}


def _price(price: Price) -> dict[str, Any]:
    hourly, monthly = price.budget_usd_per_hour, price.budget_usd_per_month
    metered, egress = price.metered_usd_per_replica_hour, price.egress_usd_per_gib
    committed, warn = price.committed_usd_per_replica_hour, price.warn_usd_per_month
    return _filled(
        metered=USD_PER_HOUR.write(metered) if metered else None,
        committed=USD_PER_HOUR.write(committed) if committed else None,
        egress=USD_PER_GIB.write(egress) if egress else None,
        budget_hourly=None if hourly is None else USD_PER_HOUR.write(hourly),
        warn_monthly=None if warn is None else USD_PER_MONTH.write(warn),
        budget_monthly=None if monthly is None else USD_PER_MONTH.write(monthly),
    )


def _filled(**keys: Any) -> dict[str, Any]:
    """Without the keys that say nothing."""
    return {key: value for key, value in keys.items() if value not in (None, "", [], {})}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
