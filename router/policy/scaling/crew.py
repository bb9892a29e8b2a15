"""What several processes of one router were asked, put together: demand is that of all of them.

Each tells its totals since it began, again and again, so that what is not heard once is heard the
next time. A process that is started anew counts from nothing; what its predecessor had told stays.
Who looks takes its own totals, and those of the others as they were last told: what is under way
between them is counted a look later.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from router.policy.scaling.capacity import Sample
from router.policy.scaling.demand import Asked

PROCESSES_MAX = 1_024
"""More workers than a host has cores; what others tell is not kept."""


class SiteDone(NamedTuple):
    """What one process sent to a site since it began, and paid for there."""

    work_tokens: float = 0.0
    overflowed: int = 0
    spent_usd: float = 0.0

    def plus(self, other: "SiteDone") -> "SiteDone":
        """Both together."""
        return SiteDone(
            self.work_tokens + other.work_tokens,
            self.overflowed + other.overflowed,
            self.spent_usd + other.spent_usd,
        )


class Told(NamedTuple):
    """The totals of one process. `began` is another for each process that there was."""

    process: int
    began: int
    asked: Asked
    sites: Mapping[str, SiteDone]


class Crew:
    """The other processes."""

    __slots__ = ("_last", "_past")

    def __init__(self) -> None:
        self._last: dict[int, Told] = {}
        self._past = Told(0, 0, Asked(), {})  # of processes that are no more

    def hear(self, told: Told) -> None:
        """One of the others told its totals."""
        before = self._last.get(told.process)
        if before is None and len(self._last) >= PROCESSES_MAX:
            return
        if before is not None and before.began != told.began:
            self._past = _plus(self._past, before)
        self._last[told.process] = told

    @property
    def processes(self) -> int:
        """How many there are."""
        return len(self._last)

    def with_own(self, own: Sample) -> Sample:
        """What this process and the others were asked; how sites are is as this process sees it."""
        others = self._others()
        sites = tuple(
            site._replace(
                work_tokens=site.work_tokens + done.work_tokens,
                overflowed=site.overflowed + done.overflowed,
            )
            for site in own.sites
            for done in (others.sites.get(site.name, SiteDone()),)
        )
        return Sample(_asked((own.asked, others.asked)), sites)

    def spent_usd(self, sites: Iterable[str]) -> float:
        """What the others have spent at these sites."""
        done = self._others().sites
        return sum(done[name].spent_usd for name in sites if name in done)

    def _others(self) -> Told:
        found = self._past
        for told in self._last.values():
            found = _plus(found, told)
        return found


def _plus(one: Told, other: Told) -> Told:
    sites = dict(one.sites)
    for name, done in other.sites.items():
        sites[name] = sites.get(name, SiteDone()).plus(done)
    return Told(one.process, one.began, _asked((one.asked, other.asked)), sites)


def _asked(parts: Iterable[Asked]) -> Asked:
    return Asked(*(sum(values) for values in zip(*parts, strict=True)))
