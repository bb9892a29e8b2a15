"""What a supervisor and its processes say to each other, over a pipe that nobody else has."""

from dataclasses import dataclass

from router.live.reloading import Reloaded
from spillway.fleet import FleetFile


@dataclass(frozen=True, slots=True)
class Serves:
    """A process has begun."""

    metrics_port: int | None = None
    openai_port: int | None = None
    health_port: int | None = None


@dataclass(frozen=True, slots=True)
class Fails:
    """A process cannot begin; the reason is one line."""

    reason: str


@dataclass(frozen=True, slots=True)
class AskReload:
    """Somebody wants the fleet file to be read again."""

    number: int
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What became of that; a problem instead where it is refused."""

    number: int
    reloaded: Reloaded | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Prepare:
    """Do what can fail of going by this file, which is the process's own share."""

    number: int  # that the answer has
    file: FleetFile


@dataclass(frozen=True, slots=True)
class Commit:
    """Go by what was prepared."""

    number: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether that was done; empty: it was."""

    number: int
    problem: str


@dataclass(frozen=True, slots=True)
class Signalled:
    """The supervisor was sent SIGHUP: have the router be reloaded, and write down that it is."""


FromSupervisor = Told | Prepare | Commit | Signalled
FromProcess = Serves | Fails | AskReload | Answer
