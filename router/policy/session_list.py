"""The sessions that a router has placed, for who wants to see them: some of them, and in order."""

from dataclasses import dataclass
from typing import Final

from router.policy.fleet import SiteKind
from router.policy.hint import Hint
from router.policy.registry import Registry
from router.policy.sessions import Session, Sessions

LOOKED_AT_MAX: Final = 20_000
"""Of a hundred thousand, for those that are wanted: more would hold up everybody's streams."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which sessions, and how many at most; empty: of any site, None: of any tenant."""

    most: int
    site: str = ""
    tenant: str | None = None


@dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """One session, as far as this router knows."""

    session: str
    tenant: str
    site: str  # empty where its endpoint is listed no longer
    endpoint: str
    overflow: bool  # it is at a site that is not home
    turns: int
    moves: int  # to another endpoint
    output_tokens: int
    cached_tokens: int  # of its last prompt and answer, at the endpoint
    idle_ns: int  # since its last turn was sent


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Those that were wanted, the most recently used first."""

    sessions: tuple[SessionSnapshot, ...]
    more: bool  # whether there are others, or may be: not all were looked at
    total: int  # sessions placed, of all sites and tenants


class Placements:
    """What a router's sessions are to others: to who wants to see them, and to other routers."""

    def __init__(self, sessions: Sessions, registry: Registry) -> None:
        self._sessions = sessions
        self._registry = registry

    def hint(self, session: str) -> Hint | None:
        """Where a session is placed, as another router may be told; None where it is not."""
        return self._sessions.hint(session)

    def listed(self, wanted: Wanted, now: int) -> SessionPage:
        """The sessions that are wanted."""
        found: list[SessionSnapshot] = []
        more = False
        for looked_at, (name, session) in enumerate(self._sessions.recent(now)):
            if looked_at == LOOKED_AT_MAX:
                more = True
                break
            one = _snapshot(name, session, self._registry, now)
            if wanted.site not in {"", one.site} or wanted.tenant not in {None, one.tenant}:
                continue
            if len(found) == wanted.most:
                more = True
                break
            found.append(one)
        return SessionPage(tuple(found), more, len(self._sessions))


def _snapshot(name: str, session: Session, registry: Registry, now: int) -> SessionSnapshot:
    tenant, separator, own = name.partition("\0")  # see Request.session_key
    tracked = registry.by_name.get(session.endpoint)
    site = None if tracked is None else tracked.site.site
    return SessionSnapshot(
        session=own if separator else name,
        tenant=tenant if separator else "",
        site="" if site is None else site.name,
        endpoint=session.endpoint,
        overflow=site is not None and site.kind is not SiteKind.HOME,
        turns=session.turns,
        moves=session.moves,
        output_tokens=session.output_tokens,
        cached_tokens=session.cached_tokens,
        idle_ns=max(0, now - session.used_ns),
    )
