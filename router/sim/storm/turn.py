"""One request of a storm from its client's side, and what must be true of it in the end."""

from dataclasses import dataclass, field

from router.sim.storm.plan import Ask
from router.sim.storm.station import Attempt, Spoken, token_of

OK, CANCELLED, LATE = "OK", "CANCELLED", "DEADLINE_EXCEEDED"


class BrokenError(Exception):
    """An invariant does not hold; the message is a sentence."""


@dataclass(slots=True)
class Turn:
    """What the client was given and told."""

    ask: Ask
    given: list[Spoken] = field(default_factory=list)
    weights: str = ""  # of the engine that said the first token
    attempt: Attempt | None = None
    rival: Attempt | None = None  # of the attempt, until one of them has given a first token
    waits_as: str = ""  # the id by which the core knew it when it was told to wait
    status: str = ""  # empty: not over
    attempts: int = 0
    resumes: int = 0

    @property
    def open(self) -> list[Attempt]:
        """The attempts under way."""
        return [one for one in (self.attempt, self.rival) if one is not None]

    def end(self, status: str) -> None:
        """It is over, once."""
        if self.status:
            raise BrokenError(f"{self.ask.id} ended twice: {self.status}, then {status}")
        self.status, self.attempt, self.rival = status, None, None

    def check(self) -> None:
        """Exactly once: the tokens of one valid generation, in order, as far as they go."""
        for index, spoken in enumerate(self.given):
            if spoken.place != index:
                raise BrokenError(
                    f"{self.ask.id} got the token of place {spoken.place} at place {index}"
                )
            right = token_of(self.ask, self.weights, index, spoken.attempt.number)
            if spoken.token != right:
                raise BrokenError(
                    f"{self.ask.id} got a token of another generation at place {index}"
                )
        if self.status == OK and len(self.given) != self.ask.output_tokens:
            raise BrokenError(
                f"{self.ask.id} ended well with {len(self.given)} of {self.ask.output_tokens}"
            )
        if not self.status:
            raise BrokenError(f"{self.ask.id} was lost: it never ended")
