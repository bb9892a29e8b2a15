"""One request as others see it: a span, one below it for each attempt, and a line in the log.

All of that is said when something begins or ends; no message of a stream is looked at for it but
the first and the last. Where nobody traces, what came with the request goes on with each attempt.
"""

from collections.abc import Mapping
from typing import Final

import grpc
from google.protobuf.message import DecodeError

from router.live.incoming import Incoming
from router.live.request_line import RequestLine, prompt_of
from router.live.timed_core import now_ns
from router.policy.decision import Decision, Mode, Refuse, Send, Wait
from router.policy.outcome import FAILURES, End, Ended
from router.policy.units import seconds
from wire.status import CallError, Metadata
from wire.tracing import names
from wire.tracing.context import TraceContext, trace_id_of
from wire.tracing.names import operation_of, span_name
from wire.tracing.tracer import NOTHING, Kind, Span, Tracer, Value
from wire.vllm.inference_pb2 import FinishInfo, GenerateResponse

_ERRORS: Final = FAILURES | {End.OVERLOADED, End.TIMED_OUT, End.REJECTED}
_METHODS: Final = {
    "Generate": "vllm.Inference/Generate",
    "GenerateStream": "vllm.Inference/GenerateStream",
    "Place": "spillway.v1.Fleet/Place",
}
_REASONS: Final = {
    FinishInfo.LENGTH: "length",
    FinishInfo.STOP: "stop",
    FinishInfo.ABORTED: "aborted",
}


class RequestTraces:
    """Makes them, for one router."""

    def __init__(self, router: str, traces: dict[str, str], *, prompts: bool = False) -> None:
        """`traces` gets the trace of each open request that is in one, by the request's id.

        `prompts` is whether a request's line in the log has its prompt.
        """
        self._tracer = NOTHING
        self._traces = traces
        self._router = router
        self._prompts = prompts

    def report_to(self, tracer: Tracer) -> None:
        """From now on."""
        self._tracer = tracer

    def begin(self, method: str, incoming: Incoming, raw: bytes) -> "RequestTrace":
        """Of a request that has come in, as these bytes; `forget` follows."""
        begun = self._begun(method, incoming, raw)
        trace = trace_id_of(begun.span.context)
        if trace is not None:
            self._traces[incoming.request.id] = trace
        return begun

    def forget(self, request: str) -> None:
        """A request is over."""
        self._traces.pop(request, None)

    def _begun(self, method: str, incoming: Incoming, raw: bytes) -> "RequestTrace":
        if not self._tracer.is_on:
            span = self._tracer.begin(method, Kind.SERVER, incoming.trace, {})
            return RequestTrace(span, self._line(method, incoming, raw))
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
        line = self._line(method, incoming, raw)
        return RequestTrace(span, line, request.prompt_tokens, operation, request.model)

    def refused(self, method: str, came_with: TraceContext | None, error: CallError) -> None:
        """Of a call that may not come in, and that nothing is known of."""
        operation = names.TEXT_COMPLETION
        attributes = self._of_call(method, operation) if self._tracer.is_on else {}
        span = self._tracer.begin(operation, Kind.SERVER, came_with, attributes)
        span.set({names.RPC_STATUS: error.code.name})
        span.end(error.code.name)
        line = RequestLine(method)
        if line.is_on:
            line.end(error.code, {"trace_id": trace_id_of(span.context), "reason": error.message})

    def _line(self, method: str, incoming: Incoming, raw: bytes) -> RequestLine:
        line = RequestLine(method)
        if line.is_on:
            request = incoming.request
            line.of(
                {
                    "request_id": request.id,
                    "client_request_id": incoming.client_id or None,
                    "model": request.model or None,
                    "session": request.session or None,
                    "tenant": request.tenant or None,
                    "slo": request.slo or None,
                    "prompt": prompt_of(raw) if self._prompts else None,
                }
            )
        return line

    def _of_call(self, method: str, operation: str) -> dict[str, Value]:
        return {
            names.OPERATION: operation,
            names.PROVIDER: names.PROVIDER_NAME,
            names.RPC_SYSTEM: "grpc",
            names.RPC_METHOD: _METHODS[method],
            names.ROUTER: self._router,
        }


class RequestTrace:
    """What becomes of one request: where it is sent, what it waits for, and how it ends."""

    __slots__ = (
        "_arrived_ns",
        "_line",
        "_model",
        "_operation",
        "_output_tokens",
        "_prompt_tokens",
        "_queue",
        "_reason",
        "_refusal",
        "_ttft_ns",
        "_watched",
        "span",
    )

    def __init__(
        self,
        span: Span,
        line: RequestLine,
        prompt_tokens: int = 0,
        operation: str = "",
        model: str = "",
    ) -> None:
        """`prompt_tokens` are an estimate, until an endpoint has counted them."""
        self.span = span
        self._line = line
        self._watched = span.records or line.is_on
        self._arrived_ns = now_ns()
        self._operation = operation
        self._model = model
        self._prompt_tokens = prompt_tokens
        self._output_tokens: int | None = None
        self._queue: Span | None = None
        self._ttft_ns: int | None = None
        self._reason: str | None = None  # why it finished
        self._refusal: str | None = None

    def decided(self, decision: Decision | None) -> None:
        """What the core said of it. A `Send` is told by its attempt."""
        if not self._watched or decision is None:
            return
        if isinstance(decision, Wait):
            attributes: dict[str, Value] = {
                names.RULE: decision.rule.value,
                names.REASON: decision.reason,
                **_said({names.TENANT: decision.tenant, names.SLO: decision.slo}),
            }
            self._queue = self.span.begin(names.QUEUE, Kind.INTERNAL, attributes)
        elif isinstance(decision, Refuse):
            self._refusal = decision.reason
            said = {names.RULE: decision.rule.value, names.REASON: decision.reason}
            self.span.event(names.DECIDED, {**said, names.CANDIDATES: len(decision.candidates)})

    def placed(self, send: Send) -> None:
        """Its client takes it to this endpoint by itself; nothing more is seen of it here."""
        if self.span.records:
            said = {**_why(send), **_where(send)}
            self.span.event(names.DECIDED, said)
            self.span.set(said)

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
        why = _why(send)
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
        if self._watched and self._ttft_ns is None:
            self._ttft_ns = now_ns() - self._arrived_ns
            self.span.event(names.FIRST_TOKEN, {})
            self.span.set({names.FIRST_CHUNK_S: seconds(self._ttft_ns)})

    def read_prompt(self, message: bytes) -> None:
        """The first message of an attempt, which may say how long the prompt is."""
        if self._watched:
            self._prompt_tokens = _prompt_tokens(message) or self._prompt_tokens

    def finished(self, last: bytes, delivered: int) -> None:
        """It ended well with this message, which counts from after so many tokens."""
        if not self._watched:
            return
        try:
            response = GenerateResponse.FromString(last)
        except DecodeError:
            return
        self._prompt_tokens = response.prompt_info.num_prompt_tokens or self._prompt_tokens
        finish = response.outputs.finish_info
        self._output_tokens = delivered + finish.num_output_tokens
        self._reason = _REASONS.get(finish.finish_reason)

    def end(self, code: grpc.StatusCode, sent: Send | None, attempts: int, resumed: int) -> None:
        """It is over, with this status; `sent` is its last attempt, if it had one."""
        self.waited()
        if self.span.records:
            self._end_span(code, sent, attempts, resumed)
        if self._line.is_on:
            self._line.end(
                code,
                {
                    "trace_id": trace_id_of(self.span.context),
                    "reason": None if code is grpc.StatusCode.OK else self._refusal,
                    "site": sent.site if sent else None,
                    "endpoint": sent.endpoint if sent else None,
                    "attempts": attempts,
                    "resumed": resumed,
                    "prompt_tokens": self._prompt_tokens or None,
                    "output_tokens": self._output_tokens,
                    "finish_reason": self._reason,
                    "ttft_s": None if self._ttft_ns is None else round(seconds(self._ttft_ns), 6),
                    "duration_s": round(seconds(now_ns() - self._arrived_ns), 6),
                },
            )

    def _end_span(
        self, code: grpc.StatusCode, sent: Send | None, attempts: int, resumed: int
    ) -> None:
        said: dict[str, Value] = {
            names.RPC_STATUS: code.name,
            names.ATTEMPTS: attempts,
            names.RESUMED: resumed,
            names.INPUT_TOKENS: self._prompt_tokens,
        }
        if sent is not None:
            said |= {names.SITE: sent.site, names.ENDPOINT: sent.endpoint}
        if self._output_tokens is not None:
            said[names.OUTPUT_TOKENS] = self._output_tokens
        if self._reason is not None:
            said[names.FINISH_REASONS] = [self._reason]
        self.span.set(said)
        # A client that goes is no error, neither of its own nor of anybody's.
        fine = code in {grpc.StatusCode.OK, grpc.StatusCode.CANCELLED}
        self.span.end("" if fine else code.name)


class AttemptTrace:
    """What becomes of one attempt."""

    __slots__ = ("_request", "_span")

    def __init__(self, request: RequestTrace, span: Span) -> None:
        self._request = request
        self._span = span

    @property
    def metadata(self) -> Metadata:
        """What tells the endpoint where in which trace it is."""
        context = self._span.context
        return () if context is None else context.metadata

    def first_token(self, ttft_ns: int) -> None:
        """It has begun, so long after it was sent."""
        self._request.first_token()
        if self._span.records:
            self._span.event(names.FIRST_TOKEN, {})
            self._span.set({names.FIRST_CHUNK_S: seconds(ttft_ns)})

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


def _why(send: Send) -> dict[str, Value]:
    """What decided; `send` has the candidates still."""
    return {
        names.RULE: send.rule.value,
        names.REASON: send.reason,
        names.CANDIDATES: len(send.candidates),
    }


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
