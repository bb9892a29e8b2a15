"""An endpoint as discovery describes it."""

from dataclasses import dataclass

from router.policy.identity import UNKNOWN, EngineIdentity


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a request can go: a replica, a site's gateway or another router."""

    name: str  # unique in the fleet, stable for the life of the process behind it
    site: str
    model: str
    model_aliases: tuple[str, ...] = ()
    max_model_tokens: int = 0  # 0: unknown
    identity: EngineIdentity = UNKNOWN

    def serves(self, model: str) -> bool:
        """Whether requests for this model may go here; an empty name asks for any."""
        return not model or model == self.model or model in self.model_aliases
