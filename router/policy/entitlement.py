"""What a tenant may ask for, and what its requests are made to say.

Pure: the core refuses by it, and the live router rewrites a request's cache salt and priority by it
before anything else reads them.
"""

from router.policy.fleet import Tenant


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
