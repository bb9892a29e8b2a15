"""Which routers a request has passed: what keeps a ring of them from passing it on for ever.

Each router adds its own id to the list that it passes on. One that finds itself in the list is part
of a ring and refuses; so does the one that would make the list too long, for the ring that runs
through routers which leave ids out. A load report says the same of routes before there is a request
(`Gateway.routers`), so that a ring is seen, and not used, as soon as it is closed.
"""

import re
from collections.abc import Mapping
from typing import Final

import grpc

from wire.status import bad_field

HOPS_KEY: Final = "x-spillway-hops"
HOPS_MAX: Final = 4
"""Routers in front of routers: a region, a site, and some to spare."""

ID_CHARS_MAX: Final = 64

_ID: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{ID_CHARS_MAX}}}")


def read_hops(named: Mapping[str, str | bytes], router: str) -> tuple[str, ...]:
    """The routers that a request has passed before this one, the first one first.

    Raises CallError: FAILED_PRECONDITION where it may not pass another, INVALID_ARGUMENT for what
    is no list of ids.
    """
    value = named.get(HOPS_KEY)
    if value is None:
        return ()
    hops = tuple(value.split(",", HOPS_MAX)) if isinstance(value, str) else ("",)
    if router in hops:
        way = " > ".join((*hops[hops.index(router) :], router))
        raise _refused(f"the request goes in a circle: {way}")
    if len(hops) >= HOPS_MAX:
        raise _refused(
            f"the request has passed {HOPS_MAX} routers, the most it may: {' > '.join(hops)[:300]}"
        )
    if not all(map(_ID.fullmatch, hops)):
        raise bad_field(HOPS_KEY, f"expected ids of routers with commas between, found {value!r}")
    return hops


def _refused(reason: str) -> Exception:
    return bad_field(HOPS_KEY, reason, grpc.StatusCode.FAILED_PRECONDITION)
