"""A client's call of vllm.Inference on its way through the router, attempt by attempt."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

import grpc

from router.live.attempt import Attempt, Failure
from router.live.incoming import REQUEST_ID_KEY, Incoming
from router.live.status import broken_off, refused
from router.live.timed_core import TimedCore, now_ns
from router.live.transcript import Transcript
from router.observe.event import RequestArrived
from router.policy.decision import Decision, Refuse, Send, Wait
from router.policy.outcome import End
from router.policy.rule import Rule
from router.policy.units import NS_PER_MS, seconds
from wire.spillway.v1.resume import RESUME_TOKEN_KEY
from wire.status import DETAILS_KEY, CallError, Metadata, failure

_OWN_PREFIX: Final = "x-spillway-"
_DEADLINE_SLACK_NS: Final = 5 * NS_PER_MS
"""A cancel this close to the deadline is the deadline's: two timers never ring together."""


class Turn:
    """Knows the attempt that is under way, and what the client is told in the end."""

    __slots__ = (
        "_core",
        "_error",
        "_messages",
        "_resumed",
        "_sent",
        "_trailers",
        "attempt",
        "incoming",
        "request_bytes",
        "transcript",
    )

    def __init__(
        self,
        core: TimedCore,
        incoming: Incoming,
        transcript: Transcript | None,
        request_bytes: int,
    ) -> None:
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
        request, start = self.incoming.request, self.incoming.start
        if start is not None and self.transcript is not None:
            point = replace(self.transcript.point(), identity=start.identity)
            request = replace(
                request,
                prompt_tokens=point.prompt_tokens + point.tokens,
                max_new_tokens=max(1, request.max_new_tokens - point.tokens + start.uncounted),
                prefix=point.prefix,
                resume=point,
            )
        self.incoming = self.incoming.without_prompt()
        decision = self._core.tell(RequestArrived(request))
        if isinstance(decision, Wait):
            decision = await self._core.released(request.id)
        self._follow(decision)

    def succeed(self, attempt: Attempt, trailers: Any = ()) -> None:
        """The attempt ended well, with these trailers of the endpoint."""
        attempt.end(End.OK)
        self.attempt = None
        self._trailers = _foreign(trailers)

    def fail(self, attempt: Attempt, failed: Failure) -> None:
        """The endpoint, or the way to it, ended the attempt: the core says what follows."""
        point = None
        if attempt.messages and self.transcript is not None:
            point = self.transcript.point()
        self._messages += attempt.messages
        decision = attempt.end(failed.end, point)
        if isinstance(decision, Send):
            self._resumed += bool(attempt.messages)
            self._follow(decision)
            return
        self.attempt = None
        refuse = decision if isinstance(decision, Refuse) else None
        if self._messages and self.transcript is not None:
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
        waits = self._sent is None and self._error is None
        if self.attempt is not None or waits:
            late = now_ns() + _DEADLINE_SLACK_NS >= self.incoming.deadline_ns
            if self.attempt is not None:
                self.attempt.end(End.TIMED_OUT if late else End.CANCELLED)
            self.attempt = None
            self._error = CallError(
                grpc.StatusCode.DEADLINE_EXCEEDED if late else grpc.StatusCode.CANCELLED,
                "nobody waits for the answer",
            )

    def tell_client(self, context: Any) -> None:
        """Puts the status and the trailers of a turn that is over on its call."""
        sent = self._sent
        own: Metadata = (
            (REQUEST_ID_KEY, self.incoming.request.id),
            ("x-spillway-attempts", str(sent.attempt if sent else 0)),
        )
        if sent is not None:
            own += (("x-spillway-site", sent.site), ("x-spillway-endpoint", sent.endpoint))
        if self._resumed:
            own += (("x-spillway-resumed", str(self._resumed)),)
        if self.transcript is not None and self.transcript.delivered.lost:
            own += (("x-spillway-resumable", f"no: {self.transcript.delivered.lost}"),)
        if self._error is not None and self._messages and self.transcript is not None:
            token = self.transcript.token()
            own += ((RESUME_TOKEN_KEY, token),) if token else ()
        if self._error is not None:
            self._error.set_on(context, own)
        else:
            context.set_trailing_metadata((*self._trailers, *own))

    def _follow(self, decision: Decision | None) -> None:
        if isinstance(decision, Send):
            self._sent = decision
            self.attempt = Attempt(self._core, decision)
        elif isinstance(decision, Refuse):
            self.attempt = None
            self._error = refused(decision)


def _status_of(failed: Failure, refuse: Refuse | None) -> CallError:
    """What the client is told of a failed attempt that nothing follows.

    It is the endpoint's own status, where it made one, or why the core gave up. A broken connection
    has a status, too, but it is gRPC's own and says nothing to the client.
    """
    trailers = _foreign(failed.trailers)
    if refuse is None or any(key == DETAILS_KEY for key, _ in trailers):
        return CallError(failed.code, failed.details, trailers)
    if refuse.rule is Rule.NO_RETRY:
        return failure(failed.code, f"{refuse.reason}: {failed.details}")
    return refused(refuse)


def _foreign(trailers: Iterable[tuple[str, str | bytes]]) -> Metadata:
    """Trailers that are passed on; those that a router below has set are replaced by ours."""
    return tuple((key, value) for key, value in trailers if not key.startswith(_OWN_PREFIX))
