"""Clients that come back with a lease: where they have been is not where they are sent again."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from router.live.incoming import Incoming
from router.live.lease_desk import LeaseDesk
from router.live.roster import Roster
from router.live.timed_core import TimedCore
from router.observe.event import LeaseClaimed
from router.policy.lease import ClaimKind, LeaseClaim
from wire.spillway.v1.fleet_pb2 import LeaseClaim as Claim
from wire.spillway.v1.lease import LEASE_END_KEY, LEASE_KEY

_UNREACHED: Final = Claim.End.Name(Claim.UNREACHABLE)
_NEVER_BEGAN: Final = frozenset({_UNREACHED, Claim.End.Name(Claim.REFUSED)})


class Returning:
    """Settles the leases of requests that their clients bring back."""

    def __init__(self, desk: LeaseDesk, core: TimedCore, roster: Roster) -> None:
        self._desk = desk
        self._core = core
        self._roster = roster

    def read(self, incoming: Incoming, named: Mapping[str, str | bytes]) -> Incoming:
        """A call as it came in, which may have been somewhere by itself before.

        The endpoint is asked whether it lives, is told to end what may run there still, and is
        avoided by this one request, unless its client could not connect: then the way there from
        here is another one. What is no lease of this fleet, or another
        tenant's, is no matter.
        """
        text = named.get(LEASE_KEY)
        lease = self._desk.opened(text) if text is not None and self._desk.signs else None
        if lease is None or incoming.caller.tenant not in {"", lease.tenant}:
            return incoming
        end = named.get(LEASE_END_KEY, "")
        if self._desk.is_own(lease):
            kind = ClaimKind.NEVER_BEGAN if end in _NEVER_BEGAN else ClaimKind.BROKE_OFF
            messages = 0 if incoming.start is None else len(incoming.start.output_ids)
            self._core.tell(LeaseClaimed(LeaseClaim(lease.id, kind, messages)))
        endpoint = next((e for e in self._roster if e.instance == lease.audience), None)
        if endpoint is None:
            return incoming
        endpoint.follower.doubt()
        if end == _UNREACHED:
            return incoming
        endpoint.abandoned.add(lease.id)
        avoiding = replace(incoming.request, avoid=(endpoint.name,))
        return replace(incoming, request=avoiding)
