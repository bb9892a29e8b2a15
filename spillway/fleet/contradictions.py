"""What a fleet file says that cannot all be meant, though each key by itself can."""

from collections.abc import Iterator

from router.live.settings import RouterSettings, StoreSettings
from router.live.token_rules import token_problems
from router.policy.fleet import Limits
from router.policy.tenants import QUOTAS
from spillway.fleet.ledger import ledger_problems
from spillway.fleet.lending import lend_findings
from spillway.fleet.problem import KeyPath, Problem
from spillway.fleet.refusal import did_you_mean
from spillway.fleet.scaling import scale_findings
from spillway.fleet.schema import FileSection, SiteSection
from spillway.fleet.section import built, key_of
from spillway.fleet.source import Source
from spillway.fleet.store import store_problems
from spillway.fleet.tracing import tracing_problems
from spillway.fleet.trust import router_trust, site_trust
from spillway.fleet.versions import version_findings

Finding = tuple[KeyPath, str]

NOT_ABOVE = (
    ("breaker_open_ns", "breaker_open_max_ns"),
    ("report_fresh_ns", "report_stale_ns"),
    ("retry_after_min_ns", "retry_after_max_ns"),
)
"""Limits of which the first may not be above the second."""


def contradictions(file: FileSection, source: Source) -> Iterator[Problem]:
    """All of them."""
    of_the_fleet = (_sites, _addresses, _models, _classes, _tenants, _limits)
    for findings in (*of_the_fleet, _router, _store, _ledger, _tracing, _trust, _tokens):
        for path, message in findings(file):
            yield source.problem(path, message)


def _sites(file: FileSection) -> Iterator[Finding]:
    if all(site.kind != "home" for site in file.sites.values()):
        yield ("sites",), "no site is home; one of them needs kind: home"
    for name, site in file.sites.items():
        for below, message in _site(site):
            yield ("sites", name, *below), message
        if site.door is not None and site.direct == "off":
            yield ("sites", name, "door"), "no client goes there, since direct is off"


def _site(site: SiteSection) -> Iterator[Finding]:
    price, capacity = site.price, site.capacity
    if site.ray is None and not site.endpoints:
        yield (), "nothing says how to reach it; give ray.dashboard or endpoints"
    if site.kind == "rented" and not price.metered and not (capacity and capacity.committed):
        yield (), "a rented site costs something; give price.metered or capacity.committed"
    for key in ("budget_hourly", "budget_monthly", "warn_monthly"):
        if getattr(price, key) is not None and not (price.metered or price.egress):
            message = "a budget limits what is metered, and there is no price.metered or egress"
            yield ("price", key), message
    if capacity and capacity.committed is not None and capacity.committed > capacity.replicas:
        message = f"more than capacity.replicas, which is {capacity.replicas}"
        yield ("capacity", "committed"), message
    yield from lend_findings(site)
    yield from scale_findings(site)
    if site.model is not None and site.ray is None:
        yield (
            ("model",),
            "deploying it needs ray.dashboard; endpoints by hand serve what they serve",
        )
    if site.serving and site.model is None:
        yield ("serving",), "these are settings of the engines of a model, and model is missing"
    for key, instead in (("model", "model"), ("served_names", "model"), ("replicas", "capacity")):
        if key in site.serving:
            yield ("serving", key), f"set the site's own key {instead} instead"


def _addresses(file: FileSection) -> Iterator[Finding]:
    seen: dict[tuple[str, ...], str] = {}
    for name, site in file.sites.items():
        places: list[tuple[KeyPath, tuple[str, ...]]] = [
            (("sites", name, "endpoints", place), (address,))
            for place, address in enumerate(site.endpoints)
        ]
        if site.ray:
            place = ("sites", name, "ray")
            places.append((place, (site.ray.dashboard, site.ray.application)))
        for path, reached in places:
            if reached in seen:
                yield path, f"{' '.join(reached)} is already at site {seen[reached]}"
            seen.setdefault(reached, name)


def _models(file: FileSection) -> Iterator[Finding]:
    owners = {name: name for name in file.models}
    for name, model in file.models.items():
        for place, alias in enumerate(model.aliases):
            owner = owners.setdefault(alias, f"{name} already")
            if owner != f"{name} already" or alias in model.aliases[:place]:
                yield ("models", name, "aliases", place), f"{alias} already names model {owner}"
    for name, site in file.sites.items():
        if site.model is not None and site.model not in file.models:
            hint = did_you_mean(site.model, file.models)
            yield ("sites", name, "model"), f"no model {site.model} is under models{hint}"
    yield from version_findings(file)


def _classes(file: FileSection) -> Iterator[Finding]:
    if file.default_slo is None:
        if len(file.slo_classes) > 1:
            yield ("default_slo",), "there are several slo_classes; name the default one"
    elif file.default_slo not in file.slo_classes:
        hint = did_you_mean(file.default_slo, file.slo_classes)
        yield ("default_slo",), f"no class {file.default_slo} is under slo_classes{hint}"
    for name, slo in file.slo_classes.items():
        confidence = getattr(slo, "confidence", None)
        if confidence is not None and not 0 < confidence < 1:
            path = ("slo_classes", name, "confidence")
            yield path, f"expected a share above 0 and below 1, found {confidence}"


def _tenants(file: FileSection) -> Iterator[Finding]:
    for name, tenant in file.tenants.items():
        for place, slo in enumerate(getattr(tenant, "slo_classes", None) or ()):
            if slo not in file.slo_classes:
                hint = did_you_mean(slo, file.slo_classes)
                path = ("tenants", name, "slo_classes", place)
                yield path, f"no class {slo} is under slo_classes{hint}"


def _tokens(file: FileSection) -> Iterator[Finding]:
    for key, message in token_problems(built(RouterSettings, file.router).authentication.tokens):
        yield ("router", "authentication", "tokens", key), message


def _limits(file: FileSection) -> Iterator[Finding]:
    limits = built(Limits, file.limits)
    for low, high in NOT_ABOVE:
        if getattr(limits, low) > getattr(limits, high):
            yield ("limits", key_of(low)), f"more than {key_of(high)}"


def _router(file: FileSection) -> Iterator[Finding]:
    router = built(RouterSettings, file.router)
    taken = {router.listen: "listen"}
    for key in ("metrics_listen", "openai_listen", "health_listen"):
        address = getattr(router, key)
        if address is not None and not address.endswith(":0"):
            if address in taken:
                yield ("router", key), f"the same address as {taken[address]}"
            taken.setdefault(address, key)


def _store(file: FileSection) -> Iterator[Finding]:
    store = built(RouterSettings, file.router).store
    budgets = any(s.price.budget_hourly or s.price.budget_monthly for s in file.sites.values())
    budgets |= any(getattr(one, "budget_monthly", None) for one in file.tenants.values())
    rates = any(getattr(one, key, None) for one in file.tenants.values() for key in QUOTAS)
    hedges = any(getattr(one, "hedge_hourly", None) for one in file.slo_classes.values())
    if store.url is None:
        if store != StoreSettings():
            yield ("router", "store"), "nothing says where it is; give url"
    elif not (budgets or rates or hedges):
        message = "there is nothing to share: no budget, no quota of a tenant and no hedge_hourly"
        yield ("router", "store"), message
    else:
        for key, message in store_problems(store):
            yield ("router", "store", key), message


def _tracing(file: FileSection) -> Iterator[Finding]:
    for key, message in tracing_problems(built(RouterSettings, file.router).tracing):
        yield ("router", "tracing", key), message


def _ledger(file: FileSection) -> Iterator[Finding]:
    ledger = built(RouterSettings, file.router).ledger
    for key, message in ledger_problems(ledger):
        yield ("router", "ledger", *key), message
    if ledger.path is not None or ledger.url is not None:
        return
    needed: list[KeyPath] = [
        ("sites", name, "price", "warn_monthly")
        for name, site in file.sites.items()
        if site.price.warn_monthly is not None
    ]
    needed += [
        ("tenants", name, key)
        for name, tenant in file.tenants.items()
        for key in ("budget_monthly", "warn_monthly")
        if getattr(tenant, key, None) is not None
    ]
    for path in needed:
        yield path, "a router remembers what a month has cost by its ledger; give router.ledger"


def _trust(file: FileSection) -> Iterator[Finding]:
    router = built(RouterSettings, file.router)
    for name, site in file.sites.items():
        for below, message in site_trust(site, router.tls):
            yield ("sites", name, *below), message
    for below, message in router_trust(router):
        yield ("router", *below), message
