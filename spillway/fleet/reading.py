"""Reads a fleet file: YAML, then each key by itself, then what contradicts what."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, ValidationError

from router.live.settings import RouterSettings, SiteAccess, SiteTls
from router.policy.fleet import (
    Fleet,
    LatencyProfile,
    Limits,
    Price,
    Site,
    SiteKind,
    SloClass,
    Tenant,
)
from router.policy.lending import Reclaim
from router.policy.scale import Autoscaling
from spillway.fleet.contradictions import contradictions
from spillway.fleet.lending import lending_of
from spillway.fleet.problem import FleetError, Problem
from spillway.fleet.refusal import problems
from spillway.fleet.scaling import asks_of, initial_replicas, scale_of
from spillway.fleet.schema import CapacitySection, FileSection, SiteSection
from spillway.fleet.section import built
from spillway.fleet.serving import serving_problems
from spillway.fleet.source import FILE_BYTES_MAX, parse
from spillway.fleet.values import Deployment, FleetFile, Model
from spillway.fleet.versions import rollouts_of


def load(path: Path) -> FleetFile:
    """The fleet that the file at `path` describes.

    Raises:
        FleetError: it cannot be read, or has problems; all of them are in the error.
    """
    try:
        with path.open("rb") as opened:
            content = opened.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        raise FleetError([Problem(str(path), 1, 1, (), message)]) from error
    return replace(read(content, str(path)), path=path, digest=sha256(content).hexdigest())


def read(content: bytes | str, file: str = "fleet.yaml") -> FleetFile:
    """The fleet that the text of a file describes; `file` is its name in messages.

    Raises:
        FleetError: it has problems; all of them are in the error.
    """
    raw = content.encode(errors="surrogatepass") if isinstance(content, str) else content
    source = parse(raw, file)
    found = list(source.problems)
    try:
        section = FileSection.model_validate(source.value)
    except ValidationError as error:
        known = {one.path for one in found}
        found += [one for one in problems(error, source, FileSection) if one.path not in known]
        raise FleetError(found) from error
    found += contradictions(section, source)
    found += serving_problems(section, source)
    if found:
        raise FleetError(found)
    return _fleet_file(section)


def _fleet_file(section: FileSection) -> FleetFile:
    classes = tuple(built(SloClass, one, name=name) for name, one in section.slo_classes.items())
    return FleetFile(
        fleet=Fleet(
            sites=tuple(_site(name, one) for name, one in section.sites.items()),
            slo_classes=classes,
            default_slo=section.default_slo or classes[0].name,
            limits=built(Limits, section.limits),
            autoscaling=built(Autoscaling, section.autoscaling),
            tenants=tuple(_tenant(name, one, section) for name, one in section.tenants.items()),
            rollouts=rollouts_of(section),
        ),
        access=tuple(_access(name, one) for name, one in section.sites.items()),
        router=built(RouterSettings, section.router),
        models=tuple(
            Model(name, one.source or "", tuple(one.aliases))
            for name, one in section.models.items()
        ),
        deployments=tuple(
            _deployment(name, one, one.model) for name, one in section.sites.items() if one.model
        ),
    )


def _tenant(name: str, read: BaseModel, file: FileSection) -> Tenant:
    """A tenant, which may ask for its models by their aliases as well."""
    tenant = built(Tenant, read, name=name)
    if tenant.models is None:
        return tenant
    aliases = {model: one.aliases for model, one in file.models.items()}
    names = (name for one in tenant.models for name in (one, *aliases.get(one, ())))
    return replace(tenant, models=tuple(dict.fromkeys(names)))


def _site(name: str, site: SiteSection) -> Site:
    price = Price(
        committed_replicas=_committed(site),
        metered_usd_per_replica_hour=site.price.metered,
        egress_usd_per_gib=site.price.egress,
        budget_usd_per_hour=site.price.budget_hourly,
        budget_usd_per_month=site.price.budget_monthly,
        warn_usd_per_month=site.price.warn_monthly,
        committed_usd_per_replica_hour=site.price.committed,
    )
    capacity = site.capacity or CapacitySection()
    return Site(
        name,
        SiteKind(site.kind),
        site.region,
        price,
        lending_of(site),
        site.lease_until,
        capacity.hardware,
        capacity.gpus,
        None if site.profile is None else built(LatencyProfile, site.profile),
        scale_of(site),
        built(Reclaim, site.reclaim),
    )


def _committed(site: SiteSection) -> int:
    """Replicas paid for, used or not: at home, where nothing else is said, all of them."""
    if site.capacity is None:
        return 0
    if site.capacity.committed is None:
        return site.capacity.replicas if site.kind == SiteKind.HOME.value else 0
    return site.capacity.committed


def _access(name: str, site: SiteSection) -> SiteAccess:
    ray = site.ray
    return SiteAccess(
        name,
        dashboard_url=ray.dashboard if ray else None,
        application=ray.application if ray else None,
        host=ray.host if ray else None,
        endpoints=tuple(site.endpoints),
        link=site.link == "auto",
        # Endpoints with TLS know their routers, and not the clients.
        direct=site.direct == "auto" and site.tls is None,
        door=site.door,
        tls=built(SiteTls, site.tls) if site.tls is not None else None,
        plaintext=site.plaintext,
    )


def _deployment(name: str, site: SiteSection, model: str) -> Deployment:
    return Deployment(
        site=name,
        model=model,
        replicas=initial_replicas(site),
        arguments=site.serving,
        runtime_env=site.ray.runtime_env if site.ray else {},
        asks=asks_of(site),
    )
