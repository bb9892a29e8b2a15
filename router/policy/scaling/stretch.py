"""What happened between two samples far enough apart for a share of the requests to mean something.

A stretch has a hundred requests at least, so that one burst is one observation; a quiet fleet's
ends, too, and says less.
"""

from typing import NamedTuple

from router.policy.admission import work_of
from router.policy.scaling.capacity import Sample

_REQUESTS = 100
_LOOKS_MAX = 20


class Stretch(NamedTuple):
    """Between a sample and a later one."""

    first: Sample
    last: Sample
    elapsed_s: float  # of the engines' time
    looks: int

    @property
    def requests(self) -> int:
        """How many were asked."""
        return self.last.asked.requests - self.first.asked.requests

    @property
    def pressed(self) -> float:
        """The share of them that found no room."""
        more = self.last.asked.pressed - self.first.asked.pressed
        return more / max(1, self.requests)

    @property
    def missed(self) -> float:
        """The share of them that missed an objective."""
        more = self.last.asked.missed - self.first.asked.missed
        return more / max(1, self.requests)

    @property
    def asked_work(self) -> float:
        """Tokens of work that were asked for."""
        first, last = self.first.asked, self.last.asked
        prompt_tokens = last.prompt_tokens - first.prompt_tokens
        return work_of(prompt_tokens, last.output_tokens - first.output_tokens)

    @property
    def is_over(self) -> bool:
        """Whether it is long enough."""
        return self.requests >= _REQUESTS or self.looks >= _LOOKS_MAX

    @property
    def is_telling(self) -> bool:
        """Whether it has enough requests to say anything."""
        return self.requests >= _REQUESTS // 2

    def work_per_s(self, site: str) -> float:
        """Tokens of work that were sent to a site, a second."""
        return (_at(self.last, site)[1] - _at(self.first, site)[1]) / self.elapsed_s

    def overflowed(self, site: str) -> float:
        """The share of all requests that came to a site since others had no room."""
        return (_at(self.last, site)[2] - _at(self.first, site)[2]) / max(1, self.requests)

    def serving(self, site: str) -> int:
        """The replicas of a site that served throughout; 0 where that changed."""
        count = _at(self.first, site)[0]
        return count if count == _at(self.last, site)[0] else 0


def _at(sample: Sample, name: str) -> tuple[int, float, int]:
    for site in sample.sites:
        if site.name == name:
            return site.serving, site.work_tokens, site.overflowed
    return 0, 0.0, 0
