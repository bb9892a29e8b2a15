"""A name of a model that versions serve, and which of them a session has.

A session's place between 0 and 1 is a hash of its name and the new version's: sessions below the
share have the new version. Every router says the same without asking another, and raising the share
moves only the sessions between the old share and the new one. The new version's name is in the
hash, so that it is not the same sessions that try every version first.
"""

from dataclasses import dataclass

from router.policy.rendezvous import weight_of

_PLACES = float(1 << 64)


@dataclass(frozen=True, slots=True)
class Rollout:
    """What clients ask for by `name`, or an alias of it, is served by these models."""

    name: str
    standing: str  # the version that has served until now, by the name that endpoints have for it
    new: str = ""  # the one that is tried beside it; empty: none is
    share: float = 0.0  # of new sessions, that the new version has
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All that clients may say for it."""
        return (self.name, *self.aliases)

    @property
    def versions(self) -> tuple[str, ...]:
        """The models that serve it, the standing one first."""
        return (self.standing, self.new) if self.new else (self.standing,)

    def version_of(self, session: str) -> str:
        """The version of a session that has none yet."""
        if not self.share:
            return self.standing
        place = weight_of(session, f"{self.name}\0{self.new}") / _PLACES
        return self.new if place < self.share else self.standing
