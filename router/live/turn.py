"""A client's call of vllm.Inference on its way through the router, attempt by attempt."""

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import grpc

from router.live.attempt import CUT, Attempt, Failure
from router.live.below import Below, read_below
from router.live.cookies import Cookies, cookie_in
from router.live.incoming import Incoming
from router.live.model_said import model_in, said_of
from router.live.request_trace import RequestTrace
from router.live.status import broken_off, refused
from router.live.timed_core import TimedCore, now_ns
from router.live.transcript import Transcript
from router.observe.event import AskedAgain, HedgeDue, RequestArrived
from router.policy.decision import Decision, Refuse, Send, Wait
from router.policy.outcome import End
from router.policy.recovery import Again
from router.policy.request import Request
from router.policy.resume import Mode
from router.policy.rule import Rule
from router.policy.units import NS_PER_MS, ns, seconds
from wire.metadata import OWN_PREFIX
from wire.spillway.v1.cookie import COOKIE_KEY
from wire.spillway.v1.resume import RESUME_TOKEN_KEY
from wire.spillway.v1.trailers import (
    ATTEMPTS_KEY,
    ENDPOINT_KEY,
    PATH_KEY,
    PATH_SEPARATOR,
    REQUEST_ID_KEY,
    RESUMABLE_KEY,
    RESUMED_KEY,
    SITE_KEY,
)
from wire.status import DETAILS_KEY, CallError, Metadata, failure

_DEADLINE_SLACK_NS: Final = 5 * NS_PER_MS
"""A cancel this close to the deadline is the deadline's: two timers never ring together."""

_PASSING: Final = frozenset({Rule.NO_ENDPOINT, Rule.OVERLOAD})
"""Refusals that may be another thing in a moment: an endpoint comes back, or has room again."""

_FINAL: Final = frozenset({Rule.NO_RETRY, Rule.QUARANTINED})
"""What a stream that waits for an endpoint waits for no longer."""

_ASK_AGAIN_S: Final = 0.2


class Turn:
    """Knows the attempt that is under way, and what the client is told in the end."""

    __slots__ = (
        "_arrived_ns",
        "_attempts",
        "_below",
        "_broken",
        "_cookie_below",
        "_cookies",
        "_core",
        "_cut",
        "_delivered",
        "_error",
        "_further",
        "_messages",
        "_model",
        "_path",
        "_resumed",
        "_sent",
        "_silent",
        "_stirred",
        "_trailers",
        "_unplaced",
        "_wait_ns",
        "_waits",
        "attempt",
        "incoming",
        "request_bytes",
        "trace",
        "transcript",
    )

    def __init__(
        self,
        core: TimedCore,
        incoming: Incoming,
        transcript: Transcript | None,
        request_bytes: int,
        resume_wait_s: float,
        cookies: Cookies,
        trace: RequestTrace,
    ) -> None:
        self.trace = trace
        self._cookies = cookies
        self._cookie_below = ""  # of the router below that answered
        self.incoming = incoming
        self.transcript = transcript  # of a stream
        self.request_bytes = request_bytes
        self.attempt: Attempt | None = None  # None: the turn is over
        self._core = core
        self._sent: Send | None = None
        self._error: CallError | None = None
        self._trailers: Metadata = ()
        self._messages = 0  # that reached the client in attempts that are over
        self._resumed = 0
        self._delivered = 0  # tokens that the client had at the last break, or came with
        self._attempts = 0
        self._further = 0  # attempts that routers below made beyond one for each of these,
        self._below = 0  # and those of them since anything was delivered
        self._silent = 0  # attempts of this router's own since then that gave nothing
        self._broken = 0  # that gave something, and broke off
        self._path = ""  # from the router below to the engine
        self._model = ""  # that answers, where it is not what the client calls it
        self._arrived_ns = now_ns()
        # A router above may know of another site: it is told at once.
        self._wait_ns = 0 if incoming.hops else ns(resume_wait_s)
        self._unplaced: tuple[Failure, Refuse, int] | None = None  # since when it has no endpoint
        self._waits = ""  # the id under which the core says what follows; empty: nothing waits
        self._cut = False
        self._stirred: asyncio.Event | None = None  # while it waits for an endpoint

    @property
    def remaining_s(self) -> float:
        """What is left until the deadline, for the next endpoint to keep."""
        return max(0.0, seconds(self.incoming.deadline_ns - now_ns()))

    @property
    def code(self) -> grpc.StatusCode:
        """The status of a turn that is over."""
        return grpc.StatusCode.OK if self._error is None else self._error.code

    async def begin(self) -> None:
        """Asks the core for the first attempt, and waits for it where the core says so."""
        request = self.incoming.request if self.incoming.start is None else self._rest()
        if request.resume is not None:
            self._delivered = request.resume.tokens
        self.incoming = self.incoming.without_prompt()
        self._follow(self._core.tell(RequestArrived(request)))
        await self._wait()

    def hedge(self) -> Attempt | None:
        """A second attempt beside the one under way, if the core wants one."""
        if self._sent is None:
            return None
        decision = self._core.tell(HedgeDue(self._sent.request))
        return self._attempt(decision, hedge=True) if isinstance(decision, Send) else None

    def _attempt(self, send: Send, *, hedge: bool = False) -> Attempt:
        """The next attempt."""
        self._attempts += 1
        self._model = send.model
        trace = self.trace.sends(send, self._attempts, self._delivered, hedge=hedge)
        return Attempt(self._core, send, self._attempts, trace, self._below)

    def take(self, attempt: Attempt) -> None:
        """Of two attempts this one goes on."""
        self.attempt = attempt
        self._sent = attempt.send
        if self._cut:
            attempt.give_up(CUT)

    def succeed(self, attempt: Attempt, trailers: Any = ()) -> None:
        """The attempt ended well, with these trailers of the endpoint."""
        self._add(attempt, read_below(trailers))
        attempt.end(End.OK)
        goes_on = attempt.send.mode is Mode.CONTINUE
        self.trace.finished(attempt.last, self._delivered if goes_on else 0)
        self.attempt = None
        self._trailers = _foreign(trailers)
        self._cookie_below = cookie_in(trailers)
        self._model = model_in(trailers) or self._model

    def fail(self, attempt: Attempt, failed: Failure) -> None:
        """The endpoint, or the way to it, ended the attempt: the core says what follows."""
        if self._cut:  # nothing does
            failed = CUT
        point = None
        if attempt.messages and self.transcript is not None:
            point = self.transcript.point()
            self._delivered = point.tokens
        below = read_below(failed.trailers)
        self._add(attempt, below)
        self._messages += attempt.messages
        self._silent = 0 if attempt.messages else self._silent + 1
        self._broken += bool(attempt.messages)
        decision = attempt.end(failed.end, point, below)
        if isinstance(decision, Send | Wait):
            self._follow(decision)
            return
        self.attempt = None
        refuse = decision if isinstance(decision, Refuse) else None
        if refuse is not None and self._messages and refuse.rule in _PASSING:
            self._unplaced = (failed, refuse, now_ns())
        else:
            self._end(failed, refuse)

    def _add(self, attempt: Attempt, below: Below) -> None:
        """An attempt is over; what a router below did for it was done for this turn."""
        further = attempt.made(below) - 1
        self._further += further
        self._below = 0 if attempt.messages else self._below + further
        # One that gave nothing has not gone on with the answer.
        self._resumed += below.resumed + bool(attempt.messages and self._messages)
        self._path = below.path

    def descent(self, attempt: Attempt) -> Metadata:
        """What goes with an attempt, beside what is the same for all of them."""
        asked = self.incoming
        said = attempt.descent(self._arrived_ns, asked.request.waited_ns)
        said += attempt.trace.metadata
        hint = asked.request.hint
        if asked.below and hint is not None and hint.endpoint == attempt.send.endpoint:
            said += ((COOKIE_KEY, asked.below),)
        return said

    async def again(self) -> Attempt | None:
        """Waits for the next attempt, where the core said so or the answer has begun.

        Without the core's word only a stream that has begun is waited for: any other can as well be
        asked for again.
        """
        await self._wait()
        while self._unplaced is not None:
            failed, refuse, since_ns = self._unplaced
            over = now_ns() - since_ns >= self._wait_ns or self._cut
            if over or self.transcript is None:
                self._unplaced = None
                self._end(failed, refuse)
                return None
            self._stirred = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ASK_AGAIN_S):
                    await self._stirred.wait()
            decision = self._core.tell(AskedAgain(self._once_more()))
            if isinstance(decision, Wait):
                decision = await self._released(decision.request)
            if isinstance(decision, Send):
                self._unplaced = None
                self._follow(decision)
            elif isinstance(decision, Refuse):
                # What no wait will mend has waited for as long as it may.
                if decision.rule in _FINAL:
                    since_ns = now_ns() - self._wait_ns
                self._unplaced = (failed, decision, since_ns)
        return self.attempt

    async def _wait(self) -> None:
        if self._waits:
            decision = await self._released(self._waits)
            if decision is None:
                self._end(CUT, None)
            self._follow(decision)

    async def _released(self, request: str) -> Decision | None:
        """What the core says to what waits; None where this router stops before that."""
        self._waits = request
        try:
            decision = await self._core.released(request)
        finally:
            self.trace.waited()
        self._waits = ""
        return decision

    def cut(self) -> None:
        """This router stops: whatever is under way ends now."""
        self._cut = True
        if self._stirred is not None:
            self._stirred.set()
        if self._waits:
            self._core.withdraw(self._waits)
        if self.attempt is not None:
            self.attempt.give_up(CUT)

    def _rest(self) -> Request:
        """The request for what the client does not have yet."""
        request = self.incoming.request
        if self.transcript is None:
            return request
        point = replace(self.transcript.point(), identity=self.transcript.identity)
        return replace(
            request,
            prompt_tokens=point.prompt_tokens + point.tokens,
            max_new_tokens=max(1, self.transcript.tokens_max - point.tokens),
            prefix=point.prefix,
            resume=point,
            model=self._model or request.model,  # and no other, whatever else is asked by its name
            asked=request.model if self._model else "",
        )

    def _once_more(self) -> Again:
        made = self._silent + self._below
        return Again(self._rest(), (), self._attempts + 1, self._broken, made)

    def _end(self, failed: Failure, refuse: Refuse | None) -> None:
        self.trace.decided(refuse)
        late = failed.end is End.TIMED_OUT or (refuse is not None and refuse.rule is Rule.DEADLINE)
        if self._messages and self.transcript is not None and not late:
            reason = f"{refuse.reason}: {failed.details}" if refuse else failed.details
            self._error = broken_off(reason, self._messages, self.transcript.delivered.tokens)
        else:
            self._error = _status_of(failed, refuse)

    def lose(self, attempt: Attempt) -> None:
        """The endpoint went between the decision and the sending."""
        gone = f"{attempt.send.endpoint} is listed no longer"
        self.fail(attempt, Failure(End.UNREACHABLE, grpc.StatusCode.UNAVAILABLE, gone))

    def abandon(self) -> None:
        """Nobody waits for an answer any more: the client went, or its deadline passed."""
        undecided = self._sent is None and self._error is None
        if self.attempt is not None or self._waits or self._unplaced is not None or undecided:
            late = now_ns() + _DEADLINE_SLACK_NS >= self.incoming.deadline_ns
            if self.attempt is not None:
                self.attempt.end(End.TIMED_OUT if late else End.CANCELLED)
            self.attempt = None
            self._error = CallError(
                grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED,
                "nobody waits for the answer",
            )

    def end_trace(self) -> None:
        """The turn is over, and its span with it."""
        attempts = self._attempts + self._further
        self.trace.end(self.code, self._sent, attempts, self._resumed)

    def tell_client(self, context: Any) -> None:
        """Puts the status and the trailers of a turn that is over on its call."""
        sent = self._sent
        own: Metadata = (
            (REQUEST_ID_KEY, self.incoming.request.id),
            (ATTEMPTS_KEY, str(self._attempts + self._further)),
        )
        if sent is not None:
            own += ((SITE_KEY, sent.site), (ENDPOINT_KEY, sent.endpoint), *said_of(self._model))
            if self._path:
                own += ((PATH_KEY, PATH_SEPARATOR.join((sent.endpoint, self._path))),)
        if self._error is None:
            own += self._cookies.of(self.incoming.request.session_key, self._cookie_below)
        if self._resumed:
            own += ((RESUMED_KEY, str(self._resumed)),)
        if self.transcript is not None and self.transcript.delivered.lost:
            own += ((RESUMABLE_KEY, f"no: {self.transcript.delivered.lost}"),)
        if self._error is not None and self._messages and self.transcript is not None:
            token = self.transcript.token()
            own += ((RESUME_TOKEN_KEY, token),) if token else ()
        if self._error is not None:
            self._error.set_on(context, own)
        else:
            context.set_trailing_metadata((*self._trailers, *own))

    def _follow(self, decision: Decision | None) -> None:
        self.trace.decided(decision)
        if isinstance(decision, Send):
            self.attempt = self._attempt(decision)
            self._sent = self.attempt.send
            if self._cut:
                self.fail(self.attempt, CUT)
        elif isinstance(decision, Wait):
            self.attempt = None
            self._waits = decision.request
        elif isinstance(decision, Refuse):
            self.attempt = None
            self._error = self._refused(decision)

    def _refused(self, refuse: Refuse) -> CallError:
        late = refuse.rule is Rule.DEADLINE  # which is no fault of the stream
        if self._messages and self.transcript is not None and not late:
            return broken_off(refuse.reason, self._messages, self.transcript.delivered.tokens)
        return refused(refuse)


def _status_of(failed: Failure, refuse: Refuse | None) -> CallError:
    """What the client is told of a failed attempt that nothing follows.

    It is the endpoint's own status, where it made one, or why the core gave up. A broken connection
    has a status, too, but it is gRPC's own and says nothing to the client.
    """
    trailers = _foreign(failed.trailers)
    # Nobody but the client cancels its call: what ends an attempt so has let go of it.
    gone = failed.code is grpc.StatusCode.CANCELLED
    code = grpc.StatusCode.UNAVAILABLE if gone else failed.code
    if refuse is None or any(key == DETAILS_KEY for key, _ in trailers):
        return CallError(code, failed.details, trailers)
    if refuse.rule is Rule.NO_RETRY:
        return failure(code, f"{refuse.reason}: {failed.details}")
    return refused(refuse)


def _foreign(trailers: Iterable[tuple[str, str | bytes]]) -> Metadata:
    """Trailers that are passed on; those that a router below has set are replaced by ours."""
    return tuple((key, value) for key, value in trailers if not key.startswith(OWN_PREFIX))
