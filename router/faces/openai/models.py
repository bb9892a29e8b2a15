"""The models that may be asked for: what the endpoints serve, and their adapters."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

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
    known = list(_known(roster))
    if not name and known:
        name = known[0][0][0]
    of_name = [endpoint for names, endpoint in known if name in names]
    if of_name:
        return Served(name, "", name, _contexts(of_name))
    adapted = [e for _, e in known if name in dict(e.follower.engine.adapters)]
    if adapted:
        return Served(_names(adapted[0])[0], name, name, _contexts(adapted))
    return Served(name, "", name, ())


def listed(roster: Roster, created: int) -> list[dict[str, Any]]:
    """Every model, alias and adapter, once, as OpenAI lists models."""
    lengths: dict[str, int] = {}
    roots: dict[str, str] = {}
    for names, endpoint in _known(roster):
        context = max(_contexts([endpoint]), default=0)
        for name in (*names, *dict(endpoint.follower.engine.adapters)):
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


def _known(roster: Roster) -> Iterator[tuple[Sequence[str], LiveEndpoint]]:
    for endpoint in roster:
        if endpoint.follower.connected and endpoint.follower.identity is not None:
            yield endpoint.follower.identity.names, endpoint


def _names(endpoint: LiveEndpoint) -> Sequence[str]:
    identity = endpoint.follower.identity
    return identity.names if identity is not None else ("",)


def _contexts(endpoints: Sequence[LiveEndpoint]) -> Sequence[int]:
    identities = [endpoint.follower.identity for endpoint in endpoints]
    lengths = [one.server.max_model_len for one in identities if one is not None]
    return [length for length in lengths if length]
