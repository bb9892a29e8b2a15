"""The service vllm.Inference, by bytes.

A request is read once, for routing; the bytes that came are the bytes that go on, and what comes
back is never looked at but for its length. A message costs a read and a write: no task, no queue
and no timer. The next message is read when the one before it is written, or waits to be, within
the bound of `router.live.outlet`: a client that stops reading stops the endpoint, through gRPC's
own flow control.
"""

import asyncio
import contextlib
from dataclasses import replace
from typing import Any, Protocol

import grpc

from router.live.attempt import CLOSED, CUT, UNFINISHED, Attempt, failure_of
from router.live.callers import Callers
from router.live.cookies import Cookies
from router.live.delivered import ResumeMemory
from router.live.endpoint import LiveEndpoint
from router.live.incoming import Incoming, read_incoming
from router.live.model_said import remade
from router.live.outlet import ClientGoneError, Outlet
from router.live.passed_on import UPSTREAM_ERRORS, is_cancelled, passed_on
from router.live.race import Opened, Runner, race
from router.live.request_trace import RequestTraces
from router.live.returning import Returning
from router.live.roster import Roster
from router.live.tenant_streams import TenantStreams
from router.live.timed_core import TimedCore, now_ns
from router.live.transcript import Transcript
from router.live.turn import Turn
from router.live.upstream import UpstreamCall
from router.policy.outcome import End
from router.policy.units import NS_PER_S, ns
from wire.spillway.v1.rewriting import overlay
from wire.status import CallError, bad_field, overloaded, unavailable
from wire.tracing.context import read_trace_context

_RETRY_AFTER_NS = NS_PER_S
"""When one who was refused for the number of streams may ask again: some have ended by then."""


class OnCall(Protocol):
    """Hears how each call ended."""

    def __call__(self, method: str, code: str) -> None:
        """A call of this method ended with this status."""
        ...


class Inference:
    """Generate and GenerateStream over the endpoints of a roster."""

    def __init__(
        self,
        core: TimedCore,
        roster: Roster,
        router: str,
        callers: Callers,
        streams: TenantStreams,
        cookies: Cookies,
        returning: Returning,
        streams_max: int,
        default_deadline_s: float,
        memory: ResumeMemory,
        requests_bytes_max: int,
        resume_wait_s: float,
        hold_s: float | None,
        on_call: OnCall,
        traces: RequestTraces,
    ) -> None:
        self._core = core
        self._roster = roster
        self._router = router
        self._callers = callers
        self._cookies = cookies
        self._returning = returning
        self._streams_max = streams_max
        self._default_deadline_ns = ns(default_deadline_s)
        self._memory = memory
        self._requests_bytes_max = requests_bytes_max
        self._resume_wait_s = resume_wait_s
        self._hold_s = hold_s
        self._requests_bytes = 0  # of open calls
        self._on_call = on_call
        self._traces = traces
        self._count = 0
        self._streams = streams
        self._by_client_id: dict[str, Turn] = {}
        self.turns: set[Turn] = set()  # that are not over
        self.draining = False
        self.idle = asyncio.Event()  # no call is open
        self.idle.set()

    @property
    def open_calls(self) -> int:
        """Calls that have not ended."""
        return len(self.turns)

    def running_at(self, client_id: str) -> tuple[str, str] | None:
        """Where the request with this id of its caller's runs, and by which id, if it does."""
        turn = self._by_client_id.get(client_id)
        if turn is None or turn.attempt is None:
            return None
        return turn.attempt.send.endpoint, turn.attempt.id

    async def cut(self, within_s: float) -> None:
        """Ends every call now: answers that have begun with what it takes to get the rest."""
        for turn in self.turns:
            turn.cut()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.idle.wait()

    def handlers(self) -> grpc.GenericRpcHandler:
        """The service for a server: without serialisers, bytes come in and go out."""
        return grpc.method_handlers_generic_handler(
            "vllm.Inference",
            {
                "Generate": grpc.unary_unary_rpc_method_handler(self.generate),
                "GenerateStream": grpc.unary_stream_rpc_method_handler(self.generate_stream),
            },
        )

    async def generate_stream(self, raw: bytes, context: Any) -> None:
        """Passes an answer on message by message."""
        turn = self._begin("GenerateStream", raw, context)
        if turn is None:
            return
        outlet = Outlet(context.write, self._hold_s)
        try:
            await turn.begin()
            while (attempt := turn.attempt or await turn.again()) is not None:
                await self._stream(turn, attempt, outlet, context)
            await outlet.flush()
            turn.tell_client(context)
        except ClientGoneError:
            context.set_code(grpc.StatusCode.CANCELLED)
        finally:
            outlet.close()
            self._end("GenerateStream", turn)

    async def generate(self, raw: bytes, context: Any) -> bytes:
        """Passes on an answer of one message."""
        response = b""
        turn = self._begin("Generate", raw, context)
        if turn is None:
            return response
        try:
            await turn.begin()
            while (attempt := turn.attempt or await turn.again()) is not None:
                response = await self._once(turn, attempt, raw + turn.incoming.laid_over)
            turn.tell_client(context)
        finally:
            self._end("Generate", turn)
        return response

    async def _stream(self, turn: Turn, attempt: Attempt, outlet: Outlet, context: Any) -> None:
        endpoint, transcript = self._roster.get(attempt.send.endpoint), turn.transcript
        if endpoint is None or transcript is None:
            turn.lose(attempt)
            return
        opened: list[LiveEndpoint] = []
        try:
            if refused := await remade(attempt, transcript, turn.incoming.laid_over, context):
                turn.fail(attempt, refused)
                return
            try:
                call = self._call(turn, transcript, attempt, endpoint, opened)
            except grpc.aio.BaseError:
                turn.fail(attempt, CLOSED)
                return
            if attempt.send.hedge_ns:
                first = Runner(attempt, Opened(call), endpoint)
                attempt, call, endpoint = await self._race(turn, transcript, first, opened)
            transcript.comes_from(endpoint.follower.engine)
            failed = await passed_on(call, attempt, transcript, outlet, context)
            if attempt.given_up is not None and attempt.given_up is not CUT:
                endpoint.abandoned.add(attempt.id)
            if failed is None:
                turn.succeed(attempt, await call.trailing_metadata())
            elif attempt.messages and (ending := transcript.ending()) is not None:
                if ending:
                    await outlet.give(ending)
                turn.succeed(attempt)
            else:
                turn.fail(attempt, failed)
        finally:
            for one in opened:
                one.calls.end()

    def _call(
        self,
        turn: Turn,
        transcript: Transcript,
        attempt: Attempt,
        endpoint: LiveEndpoint,
        opened: list[LiveEndpoint],
    ) -> UpstreamCall:
        """Sends an attempt; its endpoint is kept open as long as `opened` is."""
        request, metadata = transcript.begin(attempt.id, attempt.send.mode, attempt.send.model)
        endpoint.calls.begin()
        opened.append(endpoint)
        return endpoint.open_stream(
            request,
            timeout_s=endpoint.time_of(turn.remaining_s),
            metadata=(*turn.incoming.forwarded, *turn.descent(attempt), *metadata),
        )

    async def _race(
        self, turn: Turn, transcript: Transcript, first: Runner, opened: list[LiveEndpoint]
    ) -> tuple[Attempt, UpstreamCall, LiveEndpoint]:
        """The attempt that goes on, of this one and a second that may join it."""

        def second() -> Runner | None:
            hedge = turn.hedge()
            if hedge is None:
                return None
            endpoint = self._roster.get(hedge.send.endpoint)
            if endpoint is None:
                hedge.end(End.UNREACHABLE)
                return None
            try:
                call = self._call(turn, transcript, hedge, endpoint, opened)
            except grpc.aio.BaseError:
                hedge.end(End.UNREACHABLE)
                return None
            hedge.call = opened_call = Opened(call)
            return Runner(hedge, opened_call, endpoint)

        first.attempt.call = first.call
        winner = await race(first, first.attempt.send.hedge_ns / NS_PER_S, second)
        turn.take(winner.attempt)
        return winner.attempt, winner.call, winner.endpoint

    async def _once(self, turn: Turn, attempt: Attempt, raw: bytes) -> bytes:
        endpoint = self._roster.get(attempt.send.endpoint)
        if endpoint is None:
            turn.lose(attempt)
            return b""
        with endpoint.calls:
            try:
                model = attempt.send.model
                over = overlay(attempt.id, output_ids=False, prompt_ids=False, model=model)
                attempt.call = call = endpoint.generate(
                    raw + over.SerializeToString(),
                    timeout_s=endpoint.time_of(turn.remaining_s),
                    metadata=(*turn.incoming.forwarded, *turn.descent(attempt)),
                )
                message: bytes = await call
                attempt.message_bytes = len(message)
                attempt.last = message
                if not attempt.is_finished:
                    turn.fail(attempt, UNFINISHED)
                    return b""
                attempt.messages = 1
                turn.succeed(attempt, await call.trailing_metadata())
            except UPSTREAM_ERRORS as error:
                turn.fail(attempt, attempt.given_up or failure_of(error))
                return b""
            except asyncio.CancelledError:
                if is_cancelled():
                    raise
                if attempt.given_up is not None:
                    endpoint.abandoned.add(attempt.id)
                turn.fail(attempt, attempt.given_up or CLOSED)
                return b""
            finally:
                call, attempt.call = attempt.call, None
                if call is not None:
                    call.cancel()
            return message

    def _begin(self, method: str, raw: bytes, context: Any) -> Turn | None:
        """The turn of a call; None for one that may not come in."""
        try:
            incoming = self._admit(raw, context, streams=method == "GenerateStream")
        except CallError as error:
            error.set_on(context)
            came_with = read_trace_context(context.invocation_metadata() or ())
            self._traces.refused(method, came_with, error)
            self._on_call(method, error.code.name)
            return None
        transcript = None
        if incoming.request.streams:
            tenant = incoming.caller.tenant
            transcript = Transcript(raw + incoming.laid_over, self._memory, incoming.start, tenant)
        incoming = self._streams.begin(incoming)
        turn = Turn(
            self._core,
            incoming,
            transcript,
            len(raw),
            self._resume_wait_s,
            self._cookies,
            self._traces.begin(method, incoming, raw),
        )
        self._requests_bytes += len(raw)
        self.turns.add(turn)
        self.idle.clear()
        if incoming.client_id:
            self._by_client_id[incoming.client_id] = turn
        return turn

    def _admit(self, raw: bytes, context: Any, *, streams: bool) -> Incoming:
        """Reads a call that may come in; CallError for one that may not."""
        if self.draining:
            raise unavailable("this router is draining")
        if len(self.turns) >= self._streams_max:
            raise overloaded(
                f"{len(self.turns)} calls are open, the most that this router takes (streams_max)",
                _RETRY_AFTER_NS,
            )
        if self._requests_bytes + len(raw) > self._requests_bytes_max:
            raise overloaded(
                f"the requests of open calls have {self._requests_bytes} bytes, and may have"
                f" {self._requests_bytes_max} (requests_bytes_max)",
                _RETRY_AFTER_NS,
            )
        remaining_s = context.time_remaining()
        wait_ns = self._default_deadline_ns if remaining_s is None else ns(remaining_s)
        self._count += 1
        metadata = context.invocation_metadata() or ()
        incoming = read_incoming(
            raw,
            metadata,
            f"{self._router}-{self._count:x}",
            now_ns() + wait_ns,
            router=self._router,
            streams=streams,
            caller=self._callers.of(metadata),
            tenants=self._callers.tenants,
        )
        if incoming.client_id in self._by_client_id:
            raise bad_field(
                "request_id",
                "is in flight already; an id may be used again once its request has ended",
                grpc.StatusCode.ALREADY_EXISTS,
            )
        if getattr(context, "remakes", False):  # a face in front makes its tokens for who answers
            incoming = replace(incoming, request=replace(incoming.request, says_tokens=False))
        return self._returning.read(self._cookies.join(incoming, metadata), dict(metadata))

    def _end(self, method: str, turn: Turn) -> None:
        """However the call ended, the core has heard of it and nothing of it remains."""
        turn.abandon()
        turn.end_trace()
        self._traces.forget(turn.incoming.request.id)
        if turn.transcript is not None:
            turn.transcript.close()
        self.turns.discard(turn)
        self._streams.end(turn.incoming)
        self._requests_bytes -= turn.request_bytes
        if not self.turns:
            self.idle.set()
        if turn.incoming.client_id:
            del self._by_client_id[turn.incoming.client_id]
        self._on_call(method, turn.code.name)
