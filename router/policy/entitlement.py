"""What a tenant may ask for, and what its requests are made to say.

Pure: the core refuses by it, and the live router rewrites a request's cache salt and priority by it
before anything else reads them.
"""

from router.policy.fleet import Tenant
from router.policy.request import Request


def cache_salt(tenant: Tenant, asked: str) -> str:
    """The salt that keeps a tenant's cached prefixes from all others', made of the client's own.

    No client can name another tenant's: a tenant's name has no slash, and what stands before the
    first one is not the client's to say. Tenants that share have nobody's name there; without a
    salt of the client's they have none, and meet in one cache.
    """
    if tenant.shares_cache:
        return f"/{asked}" if asked else ""
    return f"{tenant.name}/{asked}"


def priority(tenant: Tenant, asked: int) -> int:
    """The priority of a request, lower first: what was asked, but no better than the ceiling."""
    ceiling = tenant.priority_ceiling
    return asked if ceiling is None else max(ceiling, asked)


def may_see(tenant: Tenant | None, model: str, adapter: str = "") -> bool:
    """Whether a model, or an adapter of it, is there for this tenant; None is nobody's tenant."""
    if tenant is None:
        return True
    for name, allowed in ((model, tenant.models), (adapter, tenant.adapters)):
        if name and allowed is not None and name not in allowed:
            return False
    return True


def why_not(tenant: Tenant, request: Request, default_slo: str) -> str:
    """Why a tenant may not ask for this; empty where it may.

    What it names, the caller said itself or may know: whether what it may not have exists at all
    cannot be told from it.
    """
    for noun, asked, allowed in (
        ("model", request.model, tenant.models),
        ("class", request.slo or default_slo, tenant.slo_classes),
        ("adapter", request.adapter, tenant.adapters),
    ):
        if allowed is None or asked in allowed or (noun == "adapter" and not asked):
            continue
        may = ", ".join(allowed) or "none"
        what = f"{noun} {asked!r}" if asked else f"what has no {noun} named"
        return f"tenant {tenant.name} may not ask for {what}; of this kind it may: {may}"
    return ""
