"""Fleet.Place and Fleet.Report: clients that stream from the endpoints themselves.

A placement is a decision like any other, made by the same core with the same queue. What follows it
passes this router by, so that it is signed for the endpoint and waited for by the core
(`router.policy.leases`).
"""

import re
import secrets
from collections.abc import Callable, Container, Mapping
from typing import Any, Final

import grpc

from router.live.callers import Callers, Pairs
from router.live.cookies import Cookies, cookie_in
from router.live.endpoint import LiveEndpoint
from router.live.incoming import Incoming, read_incoming
from router.live.lease_desk import LeaseDesk
from router.live.request_trace import RequestTrace, RequestTraces
from router.live.roster import Roster
from router.live.start import identity_header
from router.live.status import refused
from router.live.timed_core import TimedCore, now_ns
from router.observe.event import LeaseClaimed, RequestArrived
from router.policy.caller import Caller
from router.policy.decision import Decision, Refuse, Send, Wait
from router.policy.lease import ClaimKind, LeaseClaim
from router.policy.units import NS_PER_S, ns, seconds
from wire.spillway.v1 import fleet_pb2 as pb
from wire.spillway.v1.lease_pb2 import Lease
from wire.spillway.v1.rewriting import tokens_max
from wire.status import CallError, bad_field, overloaded, unavailable
from wire.tracing.context import read_trace_context

CLAIMS_MAX: Final = 1_000
"""Of one report: what a client with a thousand streams has to say at once."""

_OVERLAY_BYTES: Final = 256
"""What a client may add to its request: the id, and the wish for token ids."""

_LAID_OVER_BYTES_MAX: Final = 1_024
"""Of 4 KB that a lease may have: a tenant's name and a salt of the client's."""

_PLACING_MAX: Final = 20_000  # at a time, most of which wait in the queue
_RETRY_AFTER_NS: Final = NS_PER_S
_DEADLINE_MAX_S: Final = 7 * 24 * 3_600.0

_LOOPBACK: Final = re.compile(r"(ipv4:|ipv6:)?(127\.|localhost:|\[::1\]|%5B::1%5D)|unix:")

_KIND: Final = {
    pb.LeaseClaim.COMPLETE: ClaimKind.COMPLETE,
    pb.LeaseClaim.CANCELLED: ClaimKind.CANCELLED,
    pb.LeaseClaim.UNREACHABLE: ClaimKind.NEVER_BEGAN,
    pb.LeaseClaim.REFUSED: ClaimKind.NEVER_BEGAN,
    pb.LeaseClaim.BROKE_OFF: ClaimKind.BROKE_OFF,
}


class Placing:
    """Answers clients that want to go by themselves."""

    def __init__(
        self,
        router: str,
        core: TimedCore,
        callers: Callers,
        roster: Roster,
        desk: LeaseDesk,
        cookies: Cookies,
        traces: RequestTraces,
        is_draining: Callable[[], bool],
        counts_streams: Callable[[str], bool],
        off: Container[str],
        doors: Mapping[str, str],
        *,
        default_deadline_s: float,
        life_s: float,
        requests_bytes_max: int,
    ) -> None:
        """`off` are the sites whose endpoints clients do not go to themselves.

        `doors` are the addresses at which they find those of a site, where that is one for all.
        """
        self._router = router
        self._core = core
        self._callers = callers
        self._roster = roster
        self._desk = desk
        self._cookies = cookies
        self._traces = traces
        self._is_draining = is_draining
        self._counts_streams = counts_streams
        self._off = off
        self._doors = doors
        self._default_deadline_s = default_deadline_s
        self.life_s = life_s
        self._requests_bytes_max = requests_bytes_max
        self._requests_bytes = 0  # of those that are being placed
        self._placing = 0
        self._waiting: set[str] = set()  # the ids of those that wait for room

    def cut(self) -> None:
        """This router stops: nobody waits for room here any longer."""
        for waiting in tuple(self._waiting):
            self._core.withdraw(waiting)

    async def place(self, request: pb.PlaceRequest, context: Any) -> pb.Placement:
        """See Fleet.Place. Raises CallError where nobody would serve the request."""
        size = request.request.ByteSize()
        incoming, raw = self._let_in(request, size, context)
        self._placing += 1
        self._requests_bytes += size
        try:
            return await self._place(request, incoming, raw, context)
        finally:
            self._placing -= 1
            self._requests_bytes -= size

    def report(self, request: pb.ReportRequest, caller: Caller) -> None:
        """See Fleet.Report. Raises CallError for more claims than a client may have to make.

        A claim is its bearer's who has the lease; of any other, of another tenant's and of what
        this router did not place, nothing follows.
        """
        if len(request.claims) > CLAIMS_MAX:
            raise bad_field("claims", f"has {len(request.claims)}, and may have {CLAIMS_MAX}")
        for claim in request.claims:
            kind = _KIND.get(claim.end)
            lease = self._desk.opened(claim.lease) if kind is not None else None
            if kind is None or lease is None or not self._desk.is_own(lease):
                continue
            if caller.tenant not in {"", lease.tenant}:
                continue
            said = LeaseClaim(lease.id, kind, claim.messages, claim.output_tokens)
            self._core.tell(LeaseClaimed(said))

    def _let_in(self, request: pb.PlaceRequest, size: int, context: Any) -> tuple[Incoming, bytes]:
        """What a request asks that may come in, and its bytes. Raises CallError for any other."""
        metadata = context.invocation_metadata() or ()
        try:
            self._admit(size)
            raw = request.request.SerializeToString()
            return self._read(request.deadline_s, raw, metadata), raw
        except CallError as error:
            self._traces.refused("Place", read_trace_context(metadata), error)
            raise

    def _admit(self, size: int) -> None:
        if self._is_draining():
            raise unavailable("this router is draining")
        if self._placing >= _PLACING_MAX:
            raise overloaded(f"{self._placing} requests are being placed", _RETRY_AFTER_NS)
        if self._requests_bytes + size > self._requests_bytes_max:
            raise overloaded(
                f"requests of {self._requests_bytes} bytes are being placed, and there may be"
                f" {self._requests_bytes_max} (requests_bytes_max)",
                _RETRY_AFTER_NS,
            )

    def _read(self, deadline_s: float, raw: bytes, metadata: Pairs) -> Incoming:
        deadline_s = deadline_s or self._default_deadline_s
        if not 0.0 < deadline_s < _DEADLINE_MAX_S:
            raise bad_field(
                "deadline_s",
                f"is {deadline_s:g}; expected seconds above 0 and below {_DEADLINE_MAX_S:g}",
            )
        incoming = read_incoming(
            raw,
            metadata,
            f"{self._router}-{secrets.token_hex(8)}",
            now_ns() + ns(deadline_s),
            router=self._router,
            direct=True,
            caller=self._callers.of(metadata),
            tenants=self._callers.tenants,
        )
        return self._cookies.join(incoming, metadata)

    async def _place(
        self, request: pb.PlaceRequest, incoming: Incoming, raw: bytes, context: Any
    ) -> pb.Placement:
        why_not = self._why_not(incoming)
        if why_not:
            return pb.Placement(through_router=why_not)
        trace = self._traces.begin("Place", incoming, raw)
        code, decision = grpc.StatusCode.CANCELLED, None
        try:
            decision = await self._decided(incoming, trace)
            code = grpc.StatusCode.OK
        except CallError as error:
            code = error.code
            raise
        finally:
            trace.end(code, decision, 0, 0)
            self._traces.forget(incoming.request.id)
        endpoint = self._roster.get(decision.endpoint)
        if (
            endpoint is not None
            and not decision.asked
            and self.may_go(context.peer(), endpoint)
            and (endpoint.requires_leases or not _has_terms(incoming))
        ):
            return self._placement(decision, endpoint, incoming, request)
        self._give_back(decision)
        if decision.asked:
            answers = decision.model or decision.asked
            return pb.Placement(through_router=f"{answers} answers as {decision.asked}")
        return pb.Placement(through_router=f"clients do not reach {decision.endpoint} themselves")

    async def _decided(self, incoming: Incoming, trace: RequestTrace) -> Send:
        """Where a request is placed. Raises CallError where nobody would serve it."""
        decision = self._core.tell(RequestArrived(incoming.request))
        trace.decided(decision)
        if isinstance(decision, Wait):
            try:
                decision = await self._released(decision.request)
            finally:
                trace.waited()
            trace.decided(decision)
        if isinstance(decision, Refuse):
            raise refused(decision)
        if not isinstance(decision, Send):
            raise unavailable("this router stops, and the request still waited for room")
        trace.placed(decision)
        return decision

    async def _released(self, request: str) -> Decision | None:
        self._waiting.add(request)
        try:
            return await self._core.released(request, direct=True)
        finally:
            self._waiting.remove(request)

    def _why_not(self, incoming: Incoming) -> str:
        if not self._desk.signs:
            return "this router has no key to sign leases with"
        if incoming.start is not None:
            return "the answer has begun already"
        if len(incoming.laid_over) > _LAID_OVER_BYTES_MAX:
            return "the tenant's terms make the request say more than a lease has room for"
        if self._counts_streams(incoming.request.tenant):
            return "the tenant's streams are counted here"
        able = [one for one in self._roster if one.takes_leases and one.site not in self._off]
        if not able:
            return "no endpoint takes leases"
        if _has_terms(incoming) and not any(one.requires_leases for one in able):
            return "the tenant's terms hold at no endpoint, since none requires leases"
        return self._core.lease_refusal(incoming.request)

    def may_go(self, peer: str, endpoint: LiveEndpoint) -> bool:
        """Whether a client may go to an endpoint by the address that this router gives for it.

        A loopback address, of a tunnel for example, is another machine's for a client elsewhere.
        """
        address = self._doors.get(endpoint.site, endpoint.address)
        here = not _LOOPBACK.match(address) or bool(_LOOPBACK.match(peer))
        return here and endpoint.takes_leases and endpoint.site not in self._off

    def _give_back(self, send: Send) -> None:
        self._core.tell(LeaseClaimed(LeaseClaim(send.request, ClaimKind.NEVER_BEGAN)))

    def _placement(
        self, send: Send, endpoint: LiveEndpoint, incoming: Incoming, asked: pb.PlaceRequest
    ) -> pb.Placement:
        message, request = asked.request, incoming.request
        lease = Lease(
            id=send.request,
            audience=endpoint.instance,
            expires_unix_ns=endpoint.clock_unix_ns + ns(self.life_s),
            session=request.session,
            tenant=request.tenant,
            fingerprint=request.fingerprint,
            request_bytes_max=message.ByteSize() + _OVERLAY_BYTES,
            output_tokens_max=tokens_max(message) * max(1, message.sampling.num_sequences),
            laid_over=incoming.laid_over,
        )
        first_ns, silence_ns = self._core.patience(send.request)
        door = self._doors.get(endpoint.site)
        return pb.Placement(
            address=door or endpoint.address,
            authority=endpoint.address if door else "",
            lease=self._desk.lease(lease),
            request_id=send.request,
            life_s=self.life_s,
            site=send.site,
            endpoint=send.endpoint,
            identity=identity_header(endpoint.follower.engine, message.lora_name),
            first_token_s=seconds(first_ns),
            silence_s=seconds(silence_ns),
            cookie=cookie_in(self._cookies.of(request.session_key, "")),
        )


def _has_terms(incoming: Incoming) -> bool:
    """Whether its tenant is proved, or has terms that are laid over the request."""
    return bool(incoming.caller.tenant or incoming.laid_over)
