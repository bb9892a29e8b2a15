"""What is wrong with a site, as one router sees it: some of it, the way there, or all of it.

A dead process says so: its kernel resets or refuses connections, or its peer sees them closed. A
link that swallows packets says nothing, and neither does a machine that lost power. So where all
endpoints of a site fell silent and none was refused, what is known is that nothing comes through
from here; the site may well serve everybody else. That is said of the link and not of the site, and
it stays between this router and its operator: no router tells another what it cannot reach.
"""

from collections.abc import Sequence
from enum import Enum

from router.policy.tracked import Tracked


class Trouble(Enum):
    """What keeps a site, or part of it, from taking requests."""

    NONE = "none"
    ENDPOINTS = "endpoints"  # some of them are lost, others are not
    LINK = "link"  # nothing there answers, and nothing refuses
    SITE = "site"  # every connection is lost, and some by the far end's doing


def trouble_of(endpoints: Sequence[Tracked]) -> Trouble:
    """The trouble of a site with these endpoints."""
    lost = [tracked for tracked in endpoints if not (tracked.connected or tracked.gone)]
    if not lost:
        return Trouble.NONE
    if any(tracked.connected and not tracked.gone for tracked in endpoints):
        return Trouble.ENDPOINTS
    return Trouble.LINK if all(tracked.lost_silently for tracked in lost) else Trouble.SITE
