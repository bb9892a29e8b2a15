"""What came of a drill: what happened when, what was promised and whether it held, figures."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from spillway.drills.load import Heard


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that was done or seen, so long after the drill began."""

    at_s: float
    what: str


@dataclass(frozen=True, slots=True)
class Promise:
    """Something that has to hold, and what was found."""

    what: str
    held: bool
    found: str


@dataclass(slots=True)
class Report:
    """One drill on one fleet."""

    drill: str
    fleet: str
    say: Callable[[str], None] = lambda _: None
    moments: list[Moment] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    begun_s: float = field(default_factory=time.monotonic)

    @property
    def held(self) -> bool:
        """Whether all that was promised held."""
        return all(one.held for one in self.promises)

    def note(self, what: str) -> None:
        """Something happened now."""
        at_s = time.monotonic() - self.begun_s
        self.moments.append(Moment(at_s, what))
        self.say(f"{at_s:6.1f} s  {what}")

    def promise(self, what: str, *, held: bool, found: str) -> None:
        """Judge a promise."""
        self.promises.append(Promise(what, held, found))

    def judge_streams(self, heard: Heard, struck_s: float) -> None:
        """The promises and figures of the streams that clients had."""
        streams = heard.streams
        broken = [one for one in streams if one.error]
        why = "; ".join(f"{count} of {error}" for error, count in heard.errors.most_common(3))
        self.promise(
            "no stream breaks",
            held=not broken and bool(streams),
            found=f"{len(broken)} of {len(streams)} broke: {why}"
            if broken
            else f"{len(streams)} streams",
        )
        wrong = sum(not one.is_right or (not one.error and not one.is_whole) for one in streams)
        self.promise(
            "no token is lost, repeated or wrong",
            held=not wrong,
            found=f"{wrong} answers are wrong" if wrong else "every answer is what it should be",
        )
        moved = [one for one in streams if one.resumed]
        self.figures["streams"] = len(streams)
        self.figures["went_on_elsewhere"] = len(moved)
        self.figures["longest_pause_s"] = round(
            max((one.pause_s(struck_s) for one in streams), default=0.0), 3
        )

    def as_json(self) -> dict[str, Any]:
        """For `--json` and `--out`."""
        return {
            "drill": self.drill,
            "fleet": self.fleet,
            "held": self.held,
            "moments": [asdict(one) for one in self.moments],
            "promises": [asdict(one) for one in self.promises],
            "figures": self.figures,
        }

    def lines(self) -> list[str]:
        """The verdicts and figures, for people."""
        found = [
            f"{'held' if one.held else 'BROKEN':6}  {one.what}: {one.found}"
            for one in self.promises
        ]
        figures = ", ".join(_figure(name, value) for name, value in self.figures.items())
        return [*found, *([figures] if figures else [])]


def _figure(name: str, value: float) -> str:
    unit = " s" if name.endswith("_s") else ""
    return f"{name.removesuffix('_s').replace('_', ' ')} {value:g}{unit}"
