"""The models that may be asked for: what the endpoints serve, and their adapters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from router.live.endpoint import LiveEndpoint
from router.live.roster import Roster


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


def find(roster: Roster, name: str) -> Served:
    """What a name means; one that nobody serves means itself, and is refused by the core.

    Without a name it is the first model: which one answers decides how messages become a prompt.
    """
    serving = list(known(roster))
    if not name and serving:
        name = serving[0][0][0]
    of_name = [endpoint for names, endpoint in serving if name in names]
    if of_name:
        return Served(name, "", name, contexts_of(of_name))
    adapted = [e for _, e in serving if name in dict(e.follower.engine.adapters)]
    if adapted:
        return Served(_names(adapted[0])[0], name, name, contexts_of(adapted))
    return Served(name, "", name, ())


def names(roster: Roster) -> list[str]:
    """Every model, alias and adapter, once."""
    found: set[str] = set()
    for served, endpoint in known(roster):
        found.update(served, dict(endpoint.follower.engine.adapters))
    return sorted(found)


def known(roster: Roster) -> Iterator[tuple[Sequence[str], LiveEndpoint]]:
    """The endpoints that say what they serve, each with the names of its model."""
    for endpoint in roster:
        if endpoint.follower.connected and endpoint.follower.identity is not None:
            yield endpoint.follower.identity.names, endpoint


def _names(endpoint: LiveEndpoint) -> Sequence[str]:
    identity = endpoint.follower.identity
    return identity.names if identity is not None else ("",)


def contexts_of(endpoints: Sequence[LiveEndpoint]) -> Sequence[int]:
    """The contexts of endpoints in tokens, those that are known."""
    identities = [endpoint.follower.identity for endpoint in endpoints]
    lengths = [one.server.max_model_len for one in identities if one is not None]
    return [length for length in lengths if length]
