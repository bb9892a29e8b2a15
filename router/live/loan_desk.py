"""What operators ask of the lender, and what it says of what is lent, as messages."""

from collections.abc import Callable
from typing import Final

import grpc

from router.live.lender import Lender, Progress
from router.live.named_site import named_site
from router.policy.loan import LoanError
from router.policy.snapshot import Health, SiteSnapshot
from wire.spillway.v1 import fleet_pb2 as pb
from wire.status import bad_field

_FIELDS: Final = {"until": "until_unix_ns"}
"""What the core calls fields, where the wire has another name."""


class LoanDesk:
    """Lends and takes back, for whoever may."""

    def __init__(self, lender: Lender, sites: Callable[[], tuple[SiteSnapshot, ...]]) -> None:
        self._lender = lender
        self._sites = sites

    def lend(self, request: pb.LendRequest) -> pb.Lent:
        """Lends, and says what is lent. Raises CallError for what cannot be."""
        site = self._site(request.site)
        if not any(_takes_turns(one) for one in self._sites() if one.name != site.name):
            scheduled = self._lender.away(site.name).scheduled
            keeps = self._lender.has(site.name) - request.replicas - scheduled
            if keeps < 1:
                alone = f"no other site takes turns: {site.name} has to keep a replica"
                raise bad_field("replicas", alone, grpc.StatusCode.FAILED_PRECONDITION)
        try:
            self._lender.lend(site.name, request.replicas, request.until_unix_ns, request.reason)
        except LoanError as error:
            raise _refused(error) from error
        return self.lent(self._site(site.name))

    def reclaim(self, request: pb.ReclaimRequest) -> pb.Lent:
        """Takes back, and says what is still lent. Raises CallError for what cannot be."""
        site = self._site(request.site)
        try:
            self._lender.reclaim(site.name, request.replicas or None)
        except LoanError as error:
            raise _refused(error) from error
        return self.lent(self._site(site.name))

    def all_lent(self) -> list[pb.Lent]:
        """Of every site that lends anything, in the fleet file's order."""
        told = (self.lent(site) for site in self._sites())
        return [one for one in told if one.phase]

    def streams(self, site: str) -> int:
        """How many streams run on what a site lends."""
        return self.lent(named_site(site, self._sites())).open_streams

    def lent(self, site: SiteSnapshot) -> pb.Lent:
        """What a site lends."""
        away, loan = self._lender.away(site.name), self._lender.loans(site.name).loan
        names, progress = self._lender.lent(site.name), self._lender.progress(site.name)
        streams = sum(one.streams for one in site.endpoints if one.name in names)
        return pb.Lent(
            site=site.name,
            phase=_phase(away.replicas, streams, progress),
            loaned=away.loaned,
            loaned_until_unix_ns=away.loaned_until_unix_ns,
            reason=loan.reason if loan and away.loaned else "",
            scheduled=away.scheduled,
            scheduled_until_unix_ns=away.scheduled_until_unix_ns,
            endpoints=names,
            open_streams=streams,
            of=self._lender.has(site.name),
            returning=progress.returning if progress else 0,
            trouble=progress.trouble if progress else "",
        )

    def _site(self, name: str) -> SiteSnapshot:
        return named_site(name, self._sites())


def _takes_turns(site: SiteSnapshot) -> bool:
    return any(one.health is not Health.DOWN and not one.draining for one in site.endpoints)


def _phase(replicas: int, streams: int, progress: Progress | None) -> pb.Lent.Phase:
    if not replicas:
        returns = progress is not None and progress.returning
        return pb.Lent.RETURNING if returns else pb.Lent.PHASE_UNSPECIFIED
    if streams:
        return pb.Lent.DRAINING
    stands = progress is None or (progress.lent == replicas and not progress.stopping)
    return pb.Lent.AWAY if stands else pb.Lent.STOPPING


def _refused(error: LoanError) -> Exception:
    return bad_field(_FIELDS.get(error.field, error.field), str(error))
