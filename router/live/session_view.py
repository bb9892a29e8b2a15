"""The sessions that a router has placed, for who may see them."""

from typing import Final

import grpc

from router.live.timed_core import TimedCore
from router.policy.caller import Caller
from router.policy.session_list import SessionSnapshot, Wanted
from router.policy.units import seconds
from wire.spillway.v1 import fleet_pb2 as pb
from wire.status import bad_field

LIMIT_MAX: Final = 1_000
"""Of one answer, some 150 KB; who wants others names a site or a tenant."""

_LIMIT_DEFAULT: Final = 100


def list_sessions(
    core: TimedCore, caller: Caller, asked: pb.ListSessionsRequest
) -> pb.ListSessionsResponse:
    """See Fleet.ListSessions. Raises CallError for what is not there, or not the caller's."""
    sites = [site.name for site in core.snapshot().sites]
    if asked.site and asked.site not in sites:
        known = ", ".join(sites)
        raise bad_field("site", f"is none of this fleet; known: {known}", grpc.StatusCode.NOT_FOUND)
    if asked.limit > LIMIT_MAX:
        raise bad_field("limit", f"is {asked.limit}; at most {LIMIT_MAX} are listed at a time")
    tenant = asked.tenant or None
    if not caller.sees_all:
        if tenant not in {None, caller.tenant}:
            denied = grpc.StatusCode.PERMISSION_DENIED
            raise bad_field("tenant", "is not the tenant of these credentials", denied)
        tenant = caller.tenant
    page = core.sessions(Wanted(asked.limit or _LIMIT_DEFAULT, asked.site, tenant))
    return pb.ListSessionsResponse(
        sessions=[_message(one) for one in page.sessions],
        more=page.more,
        total=page.total if caller.sees_all else 0,
        router_id=core.router,
    )


def _message(one: SessionSnapshot) -> pb.PlacedSession:
    return pb.PlacedSession(
        session=one.session,
        tenant=one.tenant,
        site=one.site,
        endpoint=one.endpoint,
        overflow=one.overflow,
        turns=one.turns,
        moves=one.moves,
        output_tokens=one.output_tokens,
        cached_tokens=one.cached_tokens,
        idle_s=seconds(one.idle_ns),
    )
