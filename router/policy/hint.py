"""What another router says of where a session is placed."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hint:
    """A session's placement. It counts where this router knows nothing newer."""

    endpoint: str
    used_ns: int  # when the session was last there, on this router's clock
    cached_tokens: int = 0
    blocks: int = 0  # see router.policy.sessions.Session
    block: int = 0
