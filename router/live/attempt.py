"""One attempt: a `Send` of the core being performed, up to its one `Ended`."""

from dataclasses import replace
from typing import Any, Final, NamedTuple

import grpc
from google.protobuf.message import DecodeError
from google.rpc.error_details_pb2 import ErrorInfo

from router.live.below import NOTHING, Below
from router.live.descent import descent
from router.live.request_trace import AttemptTrace
from router.live.timed_core import TimedCore, now_ns
from router.observe.event import OutcomeSeen
from router.policy.decision import Decision, Send
from router.policy.outcome import End, Ended, FirstToken
from router.policy.resume import Mode, ResumePoint
from wire.spillway.v1.lease import LEASE_FAULTS
from wire.status import Metadata, failure, reason_of, unavailable
from wire.vllm.inference_pb2 import GenerateResponse

_TOO_LARGE: Final = ("CLIENT: Received message larger", "SERVER: Received message larger")
"""How gRPC begins the status it makes itself for an answer over our limit, and for a request over
the endpoint's: RESOURCE_EXHAUSTED, though nobody is overloaded."""

_END_OF: Final = {
    grpc.StatusCode.RESOURCE_EXHAUSTED: End.OVERLOADED,
    grpc.StatusCode.UNAVAILABLE: End.UNREACHABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: End.TIMED_OUT,
    grpc.StatusCode.INVALID_ARGUMENT: End.REJECTED,
    grpc.StatusCode.NOT_FOUND: End.REJECTED,
    grpc.StatusCode.ALREADY_EXISTS: End.REJECTED,
    grpc.StatusCode.PERMISSION_DENIED: End.REJECTED,
    grpc.StatusCode.UNAUTHENTICATED: End.REJECTED,
    grpc.StatusCode.FAILED_PRECONDITION: End.REJECTED,
    grpc.StatusCode.OUT_OF_RANGE: End.REJECTED,
    grpc.StatusCode.UNIMPLEMENTED: End.REJECTED,
}
"""FAILED for every other status."""


class Failure(NamedTuple):
    """Why an attempt came to no good end, for the core and, if nothing follows, for the client."""

    end: End
    code: grpc.StatusCode
    details: str
    trailers: Metadata = ()


UNFINISHED: Final = Failure(
    End.FAILED, grpc.StatusCode.UNAVAILABLE, "the endpoint ended the answer in its middle"
)
"""An answer whose status is OK and that has no last message."""

CUT: Final = Failure(
    End.CANCELLED, grpc.StatusCode.UNAVAILABLE, "this router stops, and the time to drain is over"
)
"""Of an attempt that is as well as any, and that this router can wait for no longer."""


def end_of(code: grpc.StatusCode) -> End:
    """How an attempt ended that an endpoint ended with this status."""
    return _END_OF.get(code, End.FAILED)


CLOSED: Final = Failure(
    End.UNREACHABLE, grpc.StatusCode.UNAVAILABLE, "the connection to the endpoint was closed"
)
"""By this router itself, under a call: gRPC cancels it, or says that the channel is of no use."""


def failure_of(error: grpc.aio.AioRpcError | grpc.aio.BaseError) -> Failure:
    """What an endpoint's status, or gRPC's own, says of the attempt."""
    if not isinstance(error, grpc.aio.AioRpcError):
        return CLOSED
    details, trailers = error.details() or "", tuple(error.trailing_metadata() or ())
    end = end_of(error.code())
    if reason_of(trailers) in LEASE_FAULTS:
        # It is this router that is not let in, and not its client.
        said = unavailable(f"the endpoint does not let this router in: {details}")
        return Failure(End.FAILED, said.code, said.message, said.trailers)
    if details.startswith(_TOO_LARGE):
        end = End.REJECTED
    return Failure(end, error.code(), details, trailers)


def differs(why: str) -> Failure:
    """An answer that was made again and is another one: the client hears it, whatever follows."""
    said = failure(
        grpc.StatusCode.ABORTED, why, ErrorInfo(reason="ANSWER_DIFFERS", domain="spillway")
    )
    return Failure(End.REJECTED, said.code, said.message, said.trailers)


class Attempt:
    """Counts what comes back, and tells the core of the first token and of the end."""

    __slots__ = (
        "_allowed",
        "_begun",
        "_core",
        "_ended",
        "_sent_ns",
        "call",
        "given_up",
        "id",
        "is_writing",
        "last",
        "message_bytes",
        "messages",
        "moved_ns",
        "read",
        "seen",
        "send",
        "slow_gap_ns",
        "slow_gaps",
        "trace",
    )

    def __init__(
        self, core: TimedCore, send: Send, number: int, trace: AttemptTrace, below: int = 0
    ) -> None:
        """The turn's so-and-so-many-th; routers below have made `below` attempts beyond these."""
        self.trace = trace
        # A stream may last for long, and who else could have had it is of no use to it.
        self.send = replace(send, candidates=())
        self.id = f"{send.request}.{number}"  # by which the endpoint knows it
        self.call: Any = None  # to the endpoint, while it runs; of it, only cancel is used here
        self.given_up: Failure | None = None
        self.messages = 0  # that reached the client
        self.read = 0  # that came from the endpoint
        self.is_writing = False  # one of them, to a client that may be slow
        self.seen = 0  # of those read, at the last look of router.live.vigil,
        self.moved_ns = now_ns()  # and when there were more than before
        self.slow_gap_ns = core.itl_objective_ns(send.slo)
        self.slow_gaps = 0  # waits for the endpoint's next message that were longer
        self.message_bytes = 0
        self.last = b""
        self._core = core
        # One is kept back for another endpoint, should a router below use up all that it may make.
        self._allowed = max(1, send.attempts_left - below - 1)
        self._sent_ns = now_ns()
        self._begun = False
        self._ended = False

    def sets_out(self) -> None:
        """Its request had to be made first, in time that is not the endpoint's."""
        self._sent_ns = now_ns()

    def first_token(self) -> None:
        """The first message of a stream came. Only the first call counts."""
        if self._begun:
            return
        self._begun = True
        ttft_ns = now_ns() - self._sent_ns
        self.trace.first_token(ttft_ns)
        self._core.tell(OutcomeSeen(FirstToken(self.send.request, self.send.endpoint, ttft_ns)))

    def descent(self, arrived_ns: int, waited_ns: int) -> Metadata:
        """What a router below is told of a request that came here then, having waited so long."""
        if self.send.mode is not Mode.FRESH:
            waited_ns = 0  # the objective for the first token has long been met, or missed
        else:
            waited_ns += self._sent_ns - arrived_ns
        return descent(self._allowed, waited_ns)

    def give_up(self, failure: Failure) -> None:
        """End it from outside: whatever it still says is not listened to."""
        if self.given_up is None and not self._ended:
            self.given_up = failure
            if self.call is not None:
                self.call.cancel()

    def made(self, below: Below) -> int:
        """How many attempts this one was, by what the endpoint says and no more than it may say."""
        return min(below.attempts, self._allowed)

    def end(
        self, end: End, resume: ResumePoint | None = None, below: Below = NOTHING
    ) -> Decision | None:
        """The attempt is over; returns what the core says should follow a failed one.

        Only the first call counts, so that whoever cleans up may call it in any case.
        """
        if self._ended:
            return None
        self._ended = True
        ended = Ended(
            request=self.send.request,
            endpoint=self.send.endpoint,
            end=end,
            output_tokens=self._output_tokens(),
            messages=self.messages,
            duration_ns=now_ns() - self._sent_ns,
            egress_bytes=self.message_bytes,
            slow_gaps=self.slow_gaps if self._begun else None,
            resume=resume,
            attempts=self.made(below),
        )
        self.trace.ended(ended)
        return self._core.tell(OutcomeSeen(ended))

    @property
    def is_finished(self) -> bool:
        """Whether the last message says that it is the last."""
        return self._counted() is not None

    def _output_tokens(self) -> int:
        """As the last message counts them; a stream that broke off is taken for a token a message.

        Of several sequences, the last message's stands for those before it.
        """
        counted = self._counted()
        return self.messages if counted is None else counted

    def _counted(self) -> int | None:
        try:
            outputs = GenerateResponse.FromString(self.last).outputs
        except DecodeError:
            return None
        if not outputs.HasField("finish_info"):
            return None
        return outputs.finish_info.num_output_tokens * (outputs.index + 1)
