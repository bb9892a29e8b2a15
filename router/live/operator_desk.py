"""What operators have done to a router, whichever face they come through.

Each of these is an action: `router.live.acting` writes it down before and after.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from router.live.acting import Act, Acting, Actor
from router.live.loan_desk import LoanDesk
from router.live.named_site import named_site
from router.live.reloading import Change, Reloaded, ReloadError, Reloads
from router.live.rollout_desk import RolloutDesk
from router.live.standing import FileStanding
from router.live.timed_core import TimedCore
from router.observe.event import DrainChanged, QuarantineReleased
from router.policy.snapshot import SiteSnapshot
from wire.spillway.v1 import fleet_pb2 as pb
from wire.status import CallError, bad_field, failure

_log = logging.getLogger(__name__)


class OperatorDesk:
    """Drains, lends, releases, reloads. Raises CallError for what cannot be done, or recorded."""

    def __init__(
        self,
        core: TimedCore,
        loans: LoanDesk,
        acting: Acting,
        standing: FileStanding,
        reloads: Reloads | None = None,
    ) -> None:
        """`reloads` reads the fleet file again; None where there is none."""
        self._standing = standing
        self._reloads = reloads
        self._core = core
        self._loans = loans
        self._acting = acting
        self.rollouts = RolloutDesk(core, acting)

    def refused(self, actor: Actor, action: str, target: str, reason: str) -> None:
        """Somebody wanted to act, and it is not theirs to."""
        self._acting.refused(actor, action, target, reason)

    async def drain(self, actor: Actor, name: str, *, draining: bool) -> SiteSnapshot:
        """Keeps new turns away from a site, or lets them go there again; how it was before."""

        def act() -> SiteSnapshot:
            site = named_site(name, self._core.snapshot().sites)
            self._core.tell(DrainChanged(name, draining))
            return site

        word = "drain" if draining else "undrain"
        return await self._acting.perform(actor, Act(word, name, lambda: self._drained(name)), act)

    async def lend(self, actor: Actor, request: pb.LendRequest) -> pb.Lent:
        """Gives replicas of a site to other work."""
        act = Act("lend", request.site, lambda: self._lent(request.site), _plain(request))
        return await self._acting.perform(actor, act, lambda: self._loans.lend(request))

    async def reclaim(self, actor: Actor, request: pb.ReclaimRequest) -> pb.Lent:
        """Takes them back."""
        act = Act("reclaim", request.site, lambda: self._lent(request.site), _plain(request))
        return await self._acting.perform(actor, act, lambda: self._loans.reclaim(request))

    async def reload(self, actor: Actor, *, dry_run: bool) -> Reloaded:
        """Goes by the fleet file as it is now, or only says what that would change."""
        if self._reloads is None:
            none = "this router was not started from a fleet file that it could read again"
            raise failure(grpc.StatusCode.FAILED_PRECONDITION, none)
        if dry_run:
            return await self._reloaded(self._reloads, dry_run=True)
        reloads, changes = self._reloads, list[Change]()

        async def act() -> Reloaded:
            told = await self._reloaded(reloads)
            changes.extend(told.changes)
            return told

        what = Act("reload", "fleet file", lambda: self._file(changes))
        return await self._acting.perform(actor, what, act)

    async def reload_on_signal(self) -> str:
        """The same by a signal to the process; how it went, in a sentence."""
        try:
            told = await self.reload(Actor("signal:SIGHUP", "signal"), dry_run=False)
        except CallError as error:
            _log.error("the fleet file is not reloaded: %s", error.message)
            return f"The fleet file is not reloaded: {error.message}"
        for one in told.changes:
            before, after = one.before or "not set", one.after or "not set"
            _log.info("reloaded: %s was %s, and is %s", one.key, before, after)
        said = ", ".join(one.key for one in told.changes) or "nothing has changed"
        return f"The fleet file is reloaded: {said}."

    async def _reloaded(self, reloads: Reloads, *, dry_run: bool = False) -> Reloaded:
        try:
            told = await reloads.reload(dry_run=dry_run)
        except ReloadError as error:
            if not dry_run:
                self._tried(str(error))
            raise failure(grpc.StatusCode.FAILED_PRECONDITION, str(error)) from error
        if not dry_run:
            self._tried("")
        return told

    def _tried(self, problem: str) -> None:
        self._standing.tried_unix_ns = time.time_ns()
        self._standing.problem = problem

    def _file(self, changes: Sequence[Change]) -> dict[str, Any]:
        """The fleet file gone by and, behind a reload, what that has changed."""
        told = {"changes": [asdict(one) for one in changes]} if changes else {}
        return {"digest": self._standing.digest, **told}

    async def release(self, actor: Actor, fingerprint: str) -> None:
        """Lets a prompt in again that is in quarantine."""

        def act() -> None:
            if not self._kept(fingerprint):
                missing = f"no prompt is in quarantine as {fingerprint!r}"
                raise bad_field("fingerprint", missing, grpc.StatusCode.NOT_FOUND)
            self._core.tell(QuarantineReleased(fingerprint))

        what = Act("quarantine release", fingerprint, lambda: self._kept(fingerprint))
        await self._acting.perform(actor, what, act)

    def _drained(self, name: str) -> dict[str, Any]:
        sites = {site.name: site for site in self._core.snapshot().sites}
        if name not in sites:
            return {}
        return {"draining": sites[name].draining, "open_streams": sites[name].open_streams}

    def _lent(self, name: str) -> dict[str, Any]:
        sites = {site.name: site for site in self._core.snapshot().sites}
        return _plain(self._loans.lent(sites[name])) if name in sites else {}

    def _kept(self, fingerprint: str) -> dict[str, Any]:
        for one in self._core.snapshot().quarantined:
            if one.fingerprint == fingerprint:
                kept = {"model": one.model, "tenant": one.tenant, "refused": one.refused}
                return {"in_quarantine": True, **kept, "endpoints": list(one.endpoints)}
        return {}


def _plain(message: Message) -> dict[str, Any]:
    plain: dict[str, Any] = MessageToDict(message, preserving_proto_field_name=True)
    return plain
