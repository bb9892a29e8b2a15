"""What metrics read of a site whenever they are scraped, from who knows it."""

from router.live.lender import Lender
from router.live.reach import Reach
from router.live.roster import Roster
from router.observe.metrics import Metrics


def watch_site(
    metrics: Metrics, site: str, roster: Roster, lender: Lender, reach: Reach | None
) -> None:
    """Its links, what it lends, and whether its dashboard answers, where this process asks it."""
    if reach is not None:
        metrics.watch_discovery(site, reach.is_failing(site))
    metrics.watch_links(site, lambda: roster.links_at(site), lambda: roster.link_sessions_at(site))
    metrics.watch_lent(site, lambda: lender.away(site))
