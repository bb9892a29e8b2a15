"""What of a router's bounds and budgets each of its workers gets."""

from dataclasses import replace

from router.live.settings import RouterSettings
from router.policy.fleet import Fleet, Site, SloClass, Tenant
from spillway.fleet import FleetFile


def share_of(file: FleetFile, workers: int, number: int) -> FleetFile:
    """The fleet file for one of so many workers.

    Connections, and so requests, spread over workers by chance. What may be spent in all is divided
    evenly, so that it is kept whatever the spread; where routers share it through a store, workers
    do, too. The calendar month's is not divided: a worker hears from the ledger what the others
    have spent of it. The receiver shows the metrics and the health.
    """
    fleet = file.fleet
    if file.router.store.url is None:
        fleet = _divided(fleet, workers)
    return replace(file, fleet=fleet, router=_settings(file.router, workers, number))


def _divided(fleet: Fleet, workers: int) -> Fleet:
    return replace(
        fleet,
        sites=tuple(_site(site, workers) for site in fleet.sites),
        slo_classes=tuple(_slo(slo, workers) for slo in fleet.slo_classes),
        tenants=tuple(_tenant(tenant, workers) for tenant in fleet.tenants),
        limits=replace(fleet.limits, queue_max=_part(fleet.limits.queue_max, workers)),
    )


def _site(site: Site, workers: int) -> Site:
    hourly, monthly = site.price.budget_usd_per_hour, site.price.budget_usd_per_month
    price = replace(
        site.price,
        budget_usd_per_hour=None if hourly is None else hourly / workers,
        budget_usd_per_month=None if monthly is None else monthly / workers,
        calendar_usd_per_month=monthly,
    )
    return replace(site, price=price)


def _slo(slo: SloClass, workers: int) -> SloClass:
    return replace(slo, hedge_usd_per_hour=slo.hedge_usd_per_hour / workers)


def _tenant(tenant: Tenant, workers: int) -> Tenant:
    def part(most: int | None) -> int | None:
        return None if most is None else _part(most, workers)

    return replace(
        tenant,
        tokens_per_minute=part(tenant.tokens_per_minute),
        requests_per_minute=part(tenant.requests_per_minute),
        prompt_tokens_per_minute=part(tenant.prompt_tokens_per_minute),
        output_tokens_per_minute=part(tenant.output_tokens_per_minute),
        streams_max=part(tenant.streams_max),
    )


def _settings(settings: RouterSettings, workers: int, number: int) -> RouterSettings:
    log = settings.decision_log
    if log.path is not None:
        log = replace(log, path=log.path.with_name(f"{log.path.name}.{number}"))
    audit = settings.audit
    if audit.path is not None:
        audit = replace(audit, path=audit.path.with_name(f"{audit.path.name}.{number}"))
    return replace(
        settings,
        audit=audit,
        metrics_listen=None,
        health_listen=None,
        decision_log=log,
        connections=replace(
            settings.connections,
            max=_part(settings.connections.max, workers),
            of_address_max=_part(settings.connections.of_address_max, workers),
        ),
        streams_max=_part(settings.streams_max, workers),
        requests_bytes_max=_part(settings.requests_bytes_max, workers),
        resume_bytes_max=_part(settings.resume_bytes_max, workers),
    )


def _part(whole: int, workers: int) -> int:
    return max(1, whole // workers)
