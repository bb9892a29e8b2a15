"""The service spillway.v1.Fleet: why a request would go where, the sites, what to do to them."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import grpc

from router.live.acting import Actor, actor_of, certificate_names
from router.live.callers import Callers
from router.live.closing import Closing
from router.live.fleet_desk import FleetDesk
from router.live.fleet_state import quarantined_message
from router.live.fleet_view import state_for
from router.live.operator_desk import OperatorDesk
from router.live.placing import Placing
from router.live.session_view import list_sessions
from router.live.timed_core import TimedCore
from router.live.watches import Watches
from router.policy.caller import Caller
from wire.spillway.v1 import fleet_pb2 as pb
from wire.spillway.v1.fleet_pb2_grpc import FleetServicer
from wire.status import CallError, failure

_INTERVAL_DEFAULT_MS: Final = 1_000
_INTERVAL_MIN_MS: Final = 100
_INTERVAL_MAX_MS: Final = 60_000


class FleetService(FleetServicer):
    """Explain, Place, Report, Watch, sessions, drains, what is lent, what is in quarantine."""

    def __init__(
        self,
        core: TimedCore,
        callers: Callers,
        desk: FleetDesk,
        acts: OperatorDesk,
        placing: Placing,
        state: Callable[[], pb.FleetState],
        closing: Closing,
        watches_max: int,
    ) -> None:
        self._core = core
        self._callers = callers
        self._desk = desk
        self._acts = acts
        self._placing = placing
        self._state = state
        self._closing = closing
        self._watches = Watches(watches_max)

    async def Explain(self, request: pb.ExplainRequest, context: Any) -> pb.Decision:  # noqa: N802 - the wire's name
        """The decision that the request would get now; nothing is sent and nothing is changed."""
        metadata = context.invocation_metadata() or ()
        try:
            return self._desk.explain(request.request, metadata, self._callers.of(metadata))
        except CallError as error:
            error.set_on(context)
            return pb.Decision()

    async def Place(self, request: pb.PlaceRequest, context: Any) -> pb.Placement:  # noqa: N802 - the wire's name
        """Where the client may send the request itself."""
        try:
            return await self._placing.place(request, context)
        except CallError as error:
            error.set_on(context)
            return pb.Placement()

    async def Report(self, request: pb.ReportRequest, context: Any) -> pb.ReportResponse:  # noqa: N802 - the wire's name
        """What clients say of requests that were placed."""
        try:
            self._placing.report(request, self._callers.of(context.invocation_metadata() or ()))
        except CallError as error:
            error.set_on(context)
        return pb.ReportResponse()

    async def Watch(  # noqa: N802 - the wire's name
        self, request: pb.WatchFleetRequest, context: Any
    ) -> AsyncIterator[pb.FleetState]:
        """The state at once, then at the interval asked for, until the router closes.

        Whoever is let in no longer, by a key that was taken out for example, hears no more.
        """
        asked_ms = request.interval_ms or _INTERVAL_DEFAULT_MS
        interval_s = min(_INTERVAL_MAX_MS, max(_INTERVAL_MIN_MS, asked_ms)) / 1_000
        try:
            metadata = context.invocation_metadata() or ()
            with self._watches.one():
                yield self._seen_by(self._callers.of(metadata))
                while not await self._closing.begins_within(interval_s):
                    yield self._seen_by(self._callers.of(metadata))
        except CallError as error:
            error.set_on(context)

    def _seen_by(self, caller: Caller) -> pb.FleetState:
        state = self._state()
        return state if caller.sees_all else state_for(state, self._callers.tenants[caller.tenant])

    async def Reload(self, request: pb.ReloadRequest, context: Any) -> pb.ReloadResponse:  # noqa: N802 - the wire's name
        """The router goes by its fleet file as it is now."""
        try:
            actor = self._actor(context, "reload", "fleet file")
            told = await self._acts.reload(actor, dry_run=request.dry_run)
        except CallError as error:
            error.set_on(context)
            return pb.ReloadResponse()
        changes = [pb.Change(key=c.key, before=c.before, after=c.after) for c in told.changes]
        return pb.ReloadResponse(changes=changes, digest=told.digest, applied=told.applied)

    async def Drain(self, request: pb.DrainRequest, context: Any) -> pb.DrainResponse:  # noqa: N802 - the wire's name
        """New sessions and turns stay away from the site."""
        try:
            actor = self._actor(context, "drain", request.site)
            site = await self._acts.drain(actor, request.site, draining=True)
        except CallError as error:
            error.set_on(context)
            return pb.DrainResponse()
        return pb.DrainResponse(open_streams=site.open_streams)

    async def Undrain(self, request: pb.UndrainRequest, context: Any) -> pb.UndrainResponse:  # noqa: N802 - the wire's name
        """The site takes new sessions and turns again."""
        try:
            actor = self._actor(context, "undrain", request.site)
            await self._acts.drain(actor, request.site, draining=False)
        except CallError as error:
            error.set_on(context)
        return pb.UndrainResponse()

    async def ReturnRollout(  # noqa: N802 - the wire's name
        self, request: pb.ReturnRolloutRequest, context: Any
    ) -> pb.RolloutState:
        """The new version of a model gets nothing more."""
        try:
            actor = self._actor(context, "rollout return", request.model)
            return await self._acts.rollouts.give_back(actor, request.model, request.why)
        except CallError as error:
            error.set_on(context)
            return pb.RolloutState()

    async def ResumeRollout(  # noqa: N802 - the wire's name
        self, request: pb.ResumeRolloutRequest, context: Any
    ) -> pb.RolloutState:
        """A version that was returned has its share again."""
        try:
            actor = self._actor(context, "rollout resume", request.model)
            return await self._acts.rollouts.resume(actor, request.model)
        except CallError as error:
            error.set_on(context)
            return pb.RolloutState()

    async def Lend(self, request: pb.LendRequest, context: Any) -> pb.Lent:  # noqa: N802 - the wire's name
        """Replicas of the site are given to other work."""
        try:
            return await self._acts.lend(self._actor(context, "lend", request.site), request)
        except CallError as error:
            error.set_on(context)
            return pb.Lent()

    async def Reclaim(self, request: pb.ReclaimRequest, context: Any) -> pb.Lent:  # noqa: N802 - the wire's name
        """They are taken back."""
        try:
            return await self._acts.reclaim(self._actor(context, "reclaim", request.site), request)
        except CallError as error:
            error.set_on(context)
            return pb.Lent()

    async def ListLent(self, request: pb.ListLentRequest, context: Any) -> pb.ListLentResponse:  # noqa: N802 - the wire's name
        """What the sites lend."""
        _ = request, context
        return pb.ListLentResponse(lent=self._desk.loans.all_lent())

    async def ListSessions(  # noqa: N802 - the wire's name
        self, request: pb.ListSessionsRequest, context: Any
    ) -> pb.ListSessionsResponse:
        """The sessions that are placed, as far as they are the caller's to see."""
        try:
            caller = self._callers.of(context.invocation_metadata() or ())
            return list_sessions(self._core, caller, request)
        except CallError as error:
            error.set_on(context)
            return pb.ListSessionsResponse()

    async def ListQuarantine(  # noqa: N802 - the wire's name
        self, request: pb.ListQuarantineRequest, context: Any
    ) -> pb.ListQuarantineResponse:
        """The prompts that this router keeps away."""
        _ = request, context
        kept = self._core.snapshot().quarantined
        return pb.ListQuarantineResponse(quarantined=[quarantined_message(one) for one in kept])

    async def ReleaseQuarantine(  # noqa: N802 - the wire's name
        self, request: pb.ReleaseQuarantineRequest, context: Any
    ) -> pb.ReleaseQuarantineResponse:
        """The prompt is let in again."""
        try:
            actor = self._actor(context, "quarantine release", request.fingerprint)
            await self._acts.release(actor, request.fingerprint)
        except CallError as error:
            error.set_on(context)
        return pb.ReleaseQuarantineResponse()

    def _actor(self, context: Any, action: str, target: str) -> Actor:
        """Who wants to act. Raises CallError where it is not theirs."""
        caller = self._callers.of(context.invocation_metadata() or ())
        actor = actor_of(caller, context)
        why_not = self._callers.may_not_act(caller, certificate_names(context))
        if why_not:
            self._acts.refused(actor, action, target, why_not)
            raise failure(grpc.StatusCode.PERMISSION_DENIED, why_not)
        return actor
