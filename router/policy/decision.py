"""What the core answers: where a request goes, and everything that led there."""

from dataclasses import dataclass

from router.policy.candidate import Candidate
from router.policy.explanation import sentence
from router.policy.resume import Mode
from router.policy.rule import Rule

__all__ = ["Candidate", "Decision", "Mode", "Refuse", "Rule", "Send", "Wait"]


@dataclass(frozen=True, slots=True)
class Send:
    """Send the request to this endpoint."""

    request: str
    endpoint: str
    site: str
    rule: Rule
    slo: str
    objective_ns: int  # for the time to first token
    candidates: tuple[Candidate, ...]
    attempt: int = 1
    mode: Mode = Mode.FRESH
    hedge_ns: int = 0  # without a first token for so long, call `on_hedge_due`; 0: never
    attempts_left: int = 1  # at this endpoint and others, this one included
    model: str = ""  # to be asked for there, where it is not what the client calls it
    asked: str = ""  # that, where it has versions or another model stands in; empty for others
    because: str = ""  # why a stand-in answers; empty for a version of the model

    @property
    def chosen(self) -> Candidate:
        """The candidate that was chosen."""
        return next(c for c in self.candidates if c.endpoint == self.endpoint)

    @property
    def reason(self) -> str:
        """The rule in a sentence, with its figures. Made when it is read: most never are."""
        why = sentence(self.rule, self.chosen, self.candidates, self.objective_ns)
        if not self.model:
            return why
        return f"{self.because or f'{self.asked} is {self.model} here'}; {why}"


@dataclass(frozen=True, slots=True)
class Refuse:
    """Nobody can serve the request."""

    request: str
    rule: Rule
    reason: str
    slo: str
    candidates: tuple[Candidate, ...]
    retry_after_ns: int  # when asking again may help; 0 where it will not
    quota: str = ""  # that is used up, by its key in the fleet file


@dataclass(frozen=True, slots=True)
class Wait:
    """Keep the request until `RouterCore.release` says where it goes, or that it is refused."""

    request: str
    rule: Rule
    reason: str
    slo: str
    tenant: str
    candidates: tuple[Candidate, ...]
    expected_ns: int  # that it will wait; 0 where nothing is known of that


Decision = Send | Wait | Refuse
