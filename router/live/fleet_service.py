"""The service spillway.v1.Fleet: why a request would go where, the state of the sites, drains."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import grpc

from router.live.callers import Callers
from router.live.closing import Closing
from router.live.cookies import Cookies
from router.live.fleet_state import decision_message, quarantined_message
from router.live.fleet_view import state_for, without_prices
from router.live.incoming import read_incoming
from router.live.placing import Placing
from router.live.timed_core import TimedCore, now_ns
from router.observe.event import DrainChanged, QuarantineReleased
from router.policy.caller import Caller
from router.policy.units import ns
from wire.spillway.v1 import fleet_pb2 as pb
from wire.spillway.v1.fleet_pb2_grpc import FleetServicer
from wire.status import CallError, bad_field

_INTERVAL_DEFAULT_MS: Final = 1_000
_INTERVAL_MIN_MS: Final = 100
_INTERVAL_MAX_MS: Final = 60_000


class FleetService(FleetServicer):
    """Explain, Place, Report, Watch, Drain, Undrain, and what is in quarantine."""

    def __init__(
        self,
        router: str,
        core: TimedCore,
        callers: Callers,
        cookies: Cookies,
        placing: Placing,
        state: Callable[[], pb.FleetState],
        default_deadline_s: float,
        closing: Closing,
    ) -> None:
        self._router = router
        self._core = core
        self._callers = callers
        self._cookies = cookies
        self._placing = placing
        self._state = state
        self._default_deadline_ns = ns(default_deadline_s)
        self._closing = closing

    async def Explain(self, request: pb.ExplainRequest, context: Any) -> pb.Decision:  # noqa: N802 - the wire's name
        """The decision that the request would get now; nothing is sent and nothing is changed."""
        metadata = context.invocation_metadata() or ()
        try:
            incoming = read_incoming(
                request.request.SerializeToString(),
                metadata,
                "explain",
                now_ns() + self._default_deadline_ns,
                router=self._router,
                caller=self._callers.of(metadata),
                tenants=self._callers.tenants,
            )
        except CallError as error:
            error.set_on(context)
            return pb.Decision()
        asked = self._cookies.join(incoming, metadata).request
        decision = self._core.explain(asked)
        if not incoming.caller.sees_all:
            decision = without_prices(decision)
        return decision_message(decision, asked)

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
        """The state at once, then at the interval asked for, until the router closes."""
        caller = self._callers.of(context.invocation_metadata() or ())
        asked_ms = request.interval_ms or _INTERVAL_DEFAULT_MS
        interval_s = min(_INTERVAL_MAX_MS, max(_INTERVAL_MIN_MS, asked_ms)) / 1_000
        yield self._seen_by(caller)
        while not await self._closing.begins_within(interval_s):
            yield self._seen_by(caller)

    def _seen_by(self, caller: Caller) -> pb.FleetState:
        state = self._state()
        return state if caller.sees_all else state_for(state, self._callers.tenants[caller.tenant])

    async def Drain(self, request: pb.DrainRequest, context: Any) -> pb.DrainResponse:  # noqa: N802 - the wire's name
        """New sessions and turns stay away from the site."""
        site = self._set_drain(request.site, context, draining=True)
        return pb.DrainResponse(open_streams=site.open_streams if site else 0)

    async def Undrain(self, request: pb.UndrainRequest, context: Any) -> pb.UndrainResponse:  # noqa: N802 - the wire's name
        """The site takes new sessions and turns again."""
        self._set_drain(request.site, context, draining=False)
        return pb.UndrainResponse()

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
        kept = {one.fingerprint for one in self._core.snapshot().quarantined}
        if request.fingerprint in kept:
            self._core.tell(QuarantineReleased(request.fingerprint))
        else:
            missing = f"no prompt is in quarantine as {request.fingerprint!r}"
            bad_field("fingerprint", missing, grpc.StatusCode.NOT_FOUND).set_on(context)
        return pb.ReleaseQuarantineResponse()

    def _set_drain(self, name: str, context: Any, *, draining: bool) -> Any:
        sites = {site.name: site for site in self._core.snapshot().sites}
        if name not in sites:
            known = ", ".join(sites)
            bad_field(
                "site", f"there is no site {name!r}; there are: {known}", grpc.StatusCode.NOT_FOUND
            ).set_on(context)
            return None
        self._core.tell(DrainChanged(name, draining))
        return sites[name]
