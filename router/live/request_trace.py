"""One request as others see it in its trace: a span for it, and below it one for each attempt.

A span begins and ends with an attempt; no message of a stream is looked at for it but the first and
the last. Where nobody records, what came with the request goes on with each of its attempts.
"""

from collections.abc import Mapping
from typing import Final

import grpc
from google.protobuf.message import DecodeError

from router.live.incoming import Incoming
from router.live.timed_core import now_ns
from router.policy.decision import Decision, Mode, Refuse, Send, Wait
from router.policy.outcome import FAILURES, End, Ended
from router.policy.units import seconds
from wire.status import CallError, Metadata
from wire.tracing import names
from wire.tracing.context import TraceContext
from wire.tracing.names import operation_of, span_name
from wire.tracing.tracer import NOTHING, Kind, Span, Tracer, Value
from wire.vllm.inference_pb2 import FinishInfo, GenerateResponse

_ERRORS: Final = FAILURES | {End.OVERLOADED, End.TIMED_OUT, End.REJECTED}
_REASONS: Final = {
    FinishInfo.LENGTH: "length",
    FinishInfo.STOP: "stop",
    FinishInfo.ABORTED: "aborted",
}


class RequestTraces:
    """Makes them, for one router."""

    def __init__(self, router: str, tracer: Tracer = NOTHING) -> None:
        self._tracer = tracer
        self._router = router

    def report_to(self, tracer: Tracer) -> None:
        """From now on."""
        self._tracer = tracer

    def begin(self, method: str, incoming: Incoming) -> "RequestTrace":
        """Of a request that has come in."""
        if not self._tracer.is_on:
            return RequestTrace(self._tracer.begin(method, Kind.SERVER, incoming.trace, {}))
        request = incoming.request
        operation = operation_of(dict(incoming.forwarded))
        attributes: dict[str, Value] = {
            **self._of_call(method, operation),
            names.REQUEST_ID: request.id,
            names.STREAM: request.streams,
            names.TOKENS_MAX: request.max_new_tokens,
            **_said(
                {
                    names.MODEL: request.model,
                    names.CONVERSATION: request.session,
                    names.RESPONSE_ID: incoming.client_id,
                    names.TENANT: request.tenant,
                    names.SLO: request.slo,
                }
            ),
        }
        name = span_name(operation, request.model)
        span = self._tracer.begin(name, Kind.SERVER, incoming.trace, attributes)
        return RequestTrace(span, request.prompt_tokens, operation, request.model)

    def refused(self, method: str, came_with: TraceContext | None, error: CallError) -> None:
        """Of a call that may not come in, and that nothing is known of."""
        if self._tracer.is_on:
            operation = names.TEXT_COMPLETION
            attributes = self._of_call(method, operation)
            span = self._tracer.begin(operation, Kind.SERVER, came_with, attributes)
            span.set({names.RPC_STATUS: error.code.name})
            span.end(error.code.name)

    def _of_call(self, method: str, operation: str) -> dict[str, Value]:
        return {
            names.OPERATION: operation,
            names.PROVIDER: names.PROVIDER_NAME,
            names.RPC_SYSTEM: "grpc",
            names.RPC_METHOD: f"vllm.Inference/{method}",
            names.ROUTER: self._router,
        }


class RequestTrace:
    """What becomes of one request: where it is sent, what it waits for, and how it ends."""

    __slots__ = (
        "_arrived_ns",
        "_finish",
        "_first",
        "_model",
        "_operation",
        "_prompt_tokens",
        "_queue",
        "span",
    )

    def __init__(
        self, span: Span, prompt_tokens: int = 0, operation: str = "", model: str = ""
    ) -> None:
        """`prompt_tokens` are an estimate, until an endpoint has counted them."""
        self.span = span
        self._arrived_ns = now_ns()
        self._operation = operation
        self._model = model
        self._prompt_tokens = prompt_tokens
        self._queue: Span | None = None
        self._first = False  # whether a first token has come
        self._finish: dict[str, Value] = {}

    @property
    def trace_id(self) -> str:
        """The trace in which it is reported; empty where it is in none."""
        context = self.span.context
        return context.trace_hex if context is not None and context.sampled else ""

    def decided(self, decision: Decision | None) -> None:
        """What the core said of it. A `Send` is told by its attempt."""
        if not self.span.records or decision is None:
            return
        if isinstance(decision, Wait):
            attributes: dict[str, Value] = {
                names.RULE: decision.rule.value,
                names.REASON: decision.reason,
                **_said({names.TENANT: decision.tenant, names.SLO: decision.slo}),
            }
            self._queue = self.span.begin(names.QUEUE, Kind.INTERNAL, attributes)
        elif isinstance(decision, Refuse):
            said = {names.RULE: decision.rule.value, names.REASON: decision.reason}
            self.span.event(names.DECIDED, {**said, names.CANDIDATES: len(decision.candidates)})

    def waited(self) -> None:
        """It waits in this router no longer, whatever follows."""
        if self._queue is not None:
            self._queue.end()
            self._queue = None

    def sends(self, send: Send, number: int, delivered: int, *, hedge: bool) -> "AttemptTrace":
        """An attempt, which goes on after so many tokens that the client has.

        `send` has the candidates that it was chosen from.
        """
        if not self.span.records:
            return AttemptTrace(self, self.span)
        where = _where(send)
        why: dict[str, Value] = {
            names.RULE: send.rule.value,
            names.REASON: send.reason,
            names.CANDIDATES: len(send.candidates),
        }
        self.span.event(names.DECIDED, {**why, **where, names.ATTEMPT: number})
        attributes: dict[str, Value] = {
            names.OPERATION: self._operation,
            names.PROVIDER: names.PROVIDER_NAME,
            **_said({names.MODEL: self._model}),
            **where,
            **why,
            names.OBJECTIVE_S: seconds(send.objective_ns),
            names.ATTEMPT: number,
            names.ATTEMPT_MODE: send.mode.value,
            names.ATTEMPT_HEDGE: hedge,
        }
        if send.mode is not Mode.FRESH:
            attributes[names.DELIVERED] = delivered
        name = span_name(self._operation, self._model)
        return AttemptTrace(self, self.span.begin(name, Kind.CLIENT, attributes))

    def first_token(self) -> None:
        """The client gets its first token."""
        if self.span.records and not self._first:
            self._first = True
            self.span.event(names.FIRST_TOKEN, {})
            self.span.set({names.FIRST_CHUNK_S: seconds(now_ns() - self._arrived_ns)})

    def read_prompt(self, message: bytes) -> None:
        """The first message of an attempt, which may say how long the prompt is."""
        if self.span.records:
            self._prompt_tokens = _prompt_tokens(message) or self._prompt_tokens

    def finished(self, last: bytes, delivered: int) -> None:
        """It ended well with this message, which counts from after so many tokens."""
        if not self.span.records:
            return
        try:
            response = GenerateResponse.FromString(last)
        except DecodeError:
            return
        self._prompt_tokens = response.prompt_info.num_prompt_tokens or self._prompt_tokens
        finish = response.outputs.finish_info
        self._finish[names.OUTPUT_TOKENS] = delivered + finish.num_output_tokens
        reason = _REASONS.get(finish.finish_reason)
        if reason is not None:
            self._finish[names.FINISH_REASONS] = [reason]

    def end(self, code: grpc.StatusCode, sent: Send | None, attempts: int, resumed: int) -> None:
        """It is over, with this status; `sent` is its last attempt, if it had one."""
        span = self.span
        if not span.records:
            return
        self.waited()
        span.set(
            {
                names.RPC_STATUS: code.name,
                names.ATTEMPTS: attempts,
                names.RESUMED: resumed,
                **({} if sent is None else {names.SITE: sent.site, names.ENDPOINT: sent.endpoint}),
                names.INPUT_TOKENS: self._prompt_tokens,
                **self._finish,
            }
        )
        # A client that goes is no error, neither of its own nor of anybody's.
        fine = code in {grpc.StatusCode.OK, grpc.StatusCode.CANCELLED}
        span.end("" if fine else code.name)


class AttemptTrace:
    """What becomes of one attempt."""

    __slots__ = ("_request", "_span")

    def __init__(self, request: RequestTrace, span: Span) -> None:
        self._request = request
        self._span = span

    @property
    def records(self) -> bool:
        """Whether anybody will see it."""
        return self._span.records

    @property
    def metadata(self) -> Metadata:
        """What tells the endpoint where in which trace it is."""
        context = self._span.context
        return () if context is None else context.metadata

    def first_token(self, ttft_ns: int) -> None:
        """It has begun, so long after it was sent."""
        if self._span.records:
            self._span.event(names.FIRST_TOKEN, {})
            self._span.set({names.FIRST_CHUNK_S: seconds(ttft_ns)})
            self._request.first_token()

    def read_prompt(self, message: bytes) -> None:
        """Its first message."""
        self._request.read_prompt(message)

    def ended(self, ended: Ended) -> None:
        """It is over."""
        span = self._span
        if not span.records:
            return
        span.set({names.ATTEMPT_END: ended.end.value, names.OUTPUT_TOKENS: ended.output_tokens})
        span.end(ended.end.value if ended.end in _ERRORS else "")


def _said(values: Mapping[str, str]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if value}


def _where(send: Send) -> dict[str, Value]:
    """The endpoint: its name is its site's and its address."""
    host, _, port = send.endpoint.removeprefix(f"{send.site}/").rpartition(":")
    where: dict[str, Value] = {names.SITE: send.site, names.ENDPOINT: send.endpoint}
    if host and port.isdecimal():
        where |= {names.SERVER_ADDRESS: host.strip("[]"), names.SERVER_PORT: int(port)}
    return where


def _prompt_tokens(message: bytes) -> int:
    try:
        return GenerateResponse.FromString(message).prompt_info.num_prompt_tokens
    except DecodeError:
        return 0
