"""The models that may be asked for: what the endpoints serve, and their adapters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import grpc

from router.live.endpoint import LiveEndpoint
from router.live.roster import Roster
from router.policy.entitlement import may_see
from router.policy.fleet import Tenant
from wire.status import bad_field


@dataclass(frozen=True, slots=True)
class Served:
    """What a client's name for a model means."""

    model: str
    adapter: str  # of the model; empty for none
    shown: str  # in answers
    contexts: Sequence[int]  # in tokens, of the endpoints that serve it, those that are known

    def room_after(self, prompt_tokens: int) -> int | None:
        """How many tokens fit after a prompt where it fits at all; None where that is not known.

        Endpoints may differ: it is what fits the smallest of those that the prompt fits. One token
        for a prompt that fits none, so that it is refused as too long.
        """
        if not self.contexts:
            return None
        fitting = [context for context in self.contexts if context > prompt_tokens]
        return min(fitting) - prompt_tokens if fitting else 1


def find(roster: Roster, name: str, tenant: Tenant | None = None) -> Served:
    """What a name means to a tenant; one that nobody serves means itself, and the core refuses it.

    Without a name it is the first model: which one answers decides how messages become a prompt.
    Raises CallError (PERMISSION_DENIED) for a model that is not the tenant's, served or not.
    """
    serving = list(known(roster, tenant))
    if not name and serving:
        name = serving[0][0][0]
    of_name = [endpoint for names, endpoint in serving if name in names]
    if of_name:
        return Served(name, "", name, contexts_of(of_name))
    adapted = [(names, e) for names, e in serving if name in adapters_of(e, tenant)]
    if adapted:
        endpoints = [endpoint for _, endpoint in adapted]
        return Served(adapted[0][0][0], name, name, contexts_of(endpoints))
    if not may_see(tenant, name):
        denied = grpc.StatusCode.PERMISSION_DENIED
        raise bad_field("model", "is none that this tenant may ask for", denied)
    return Served(name, "", name, ())


def names(roster: Roster, tenant: Tenant | None = None) -> list[str]:
    """Every model, alias and adapter that is there for a tenant, once."""
    found: set[str] = set()
    for served, endpoint in known(roster, tenant):
        found.update(served, adapters_of(endpoint, tenant))
    return sorted(found)


def known(
    roster: Roster, tenant: Tenant | None = None
) -> Iterator[tuple[Sequence[str], LiveEndpoint]]:
    """The endpoints that say what they serve, each with the names that a tenant has for it."""
    for endpoint in roster:
        if endpoint.follower.connected and endpoint.follower.identity is not None:
            names = roster.names.beside(endpoint.follower.identity.names)
            served = [name for name in names if may_see(tenant, name)]
            if served:
                yield served, endpoint


def adapters_of(endpoint: LiveEndpoint, tenant: Tenant | None = None) -> Sequence[str]:
    """The adapters at an endpoint that are there for a tenant."""
    return [name for name, _ in endpoint.follower.engine.adapters if may_see(tenant, "", name)]


def contexts_of(endpoints: Sequence[LiveEndpoint]) -> Sequence[int]:
    """The contexts of endpoints in tokens, those that are known."""
    identities = [endpoint.follower.identity for endpoint in endpoints]
    lengths = [one.server.max_model_len for one in identities if one is not None]
    return [length for length in lengths if length]
