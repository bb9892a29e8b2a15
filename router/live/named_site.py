"""The site that somebody means by a name."""

from collections.abc import Iterable

import grpc

from router.policy.snapshot import SiteSnapshot
from wire.status import bad_field


def named_site(name: str, sites: Iterable[SiteSnapshot]) -> SiteSnapshot:
    """The site of this name. Raises CallError (NOT_FOUND), which says which there are."""
    known = {site.name: site for site in sites}
    if name not in known:
        missing = f"there is no site {name!r}; there are: {', '.join(known)}"
        raise bad_field("site", missing, grpc.StatusCode.NOT_FOUND)
    return known[name]
