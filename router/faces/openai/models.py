"""The models as OpenAI lists them."""

from typing import Any

from router.faces.models import adapters_of, contexts_of, known
from router.live.roster import Roster
from router.policy.fleet import Tenant


def listed(roster: Roster, created: int, tenant: Tenant | None = None) -> list[dict[str, Any]]:
    """Every model, alias and adapter that is there for a tenant, once, as OpenAI lists models."""
    lengths: dict[str, int] = {}
    roots: dict[str, str] = {}
    for names, endpoint in known(roster, tenant):
        context = max(contexts_of([endpoint]), default=0)
        for name in (*names, *adapters_of(endpoint, tenant)):
            lengths[name] = max(context, lengths.get(name, 0))
            roots.setdefault(name, names[0])
    return [
        {
            "id": name,
            "object": "model",
            "created": created,
            "owned_by": "spillway",
            "root": roots[name],
            "max_model_len": lengths[name] or None,
        }
        for name in sorted(lengths)
    ]
