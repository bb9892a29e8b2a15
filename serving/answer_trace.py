"""One answer of an engine as a span, below that of whoever asked for it."""

import time
from typing import Final

import grpc

from serving.engine import EngineInfo, EngineOutput, Finish
from wire.metadata import session_of
from wire.spillway.v1.trailers import REQUEST_ID_KEY
from wire.status import Metadata
from wire.tracing import names
from wire.tracing.context import TraceContext, read_trace_context
from wire.tracing.names import operation_of, span_name
from wire.tracing.tracer import UNTRACED, Kind, Span, Tracer, Value
from wire.vllm import inference_pb2 as pb

SERVICE: Final = "spillway-replica"
"""What a replica is called among those that report spans."""


class AnswerTrace:
    """From the request's arrival to the last token. Where nobody records, it only passes on."""

    __slots__ = ("_begun_ns", "_choices", "_error", "_finish", "_span", "waits")

    def __init__(self, span: Span, choices: int) -> None:
        self._span = span
        self._choices = choices
        self._begun_ns = time.monotonic_ns()
        self._error = "cancelled"  # until it is known how it ended
        self.waits = span.records  # for its first token
        self._finish: Finish | None = None

    @property
    def context(self) -> TraceContext | None:
        """Its place, for what the engine says of it."""
        return self._span.context

    def first_token(self, output: EngineOutput) -> None:
        """The first output has come, and tells how long the prompt is."""
        self.waits = False
        self._span.event(names.FIRST_TOKEN, {})
        seconds = (time.monotonic_ns() - self._begun_ns) / 1e9
        said: dict[str, Value] = {names.FIRST_CHUNK_S: seconds}
        if output.prompt is not None:
            said[names.INPUT_TOKENS] = len(output.prompt.token_ids)
        self._span.set(said)

    def finish(self, last: EngineOutput | None) -> None:
        """The engine has given all of it, with this output at the end."""
        self._error = ""
        self._finish = None if last is None else last.finish

    def fail(self, code: grpc.StatusCode) -> None:
        """It ends with a status that is not OK."""
        self._error = code.name

    def end(self, tokens: int) -> None:
        """It is over, after so many tokens."""
        if not self._span.records:
            return
        said: dict[str, Value] = {names.OUTPUT_TOKENS: tokens}
        if self._finish is not None and self._choices == 1:
            said[names.FINISH_REASONS] = [self._finish.reason.value]
        gone = self._error == "cancelled"  # whoever asked wants no more: no error of anybody's
        if gone:
            said[names.ATTEMPT_END] = self._error
        self._span.set(said)
        self._span.end("" if gone else self._error)


def begin_answer(
    tracer: Tracer, request: pb.GenerateRequest, metadata: Metadata, info: EngineInfo
) -> AnswerTrace:
    """The trace of a request that has come in, and that may yet be refused."""
    came_with = read_trace_context(metadata)
    if not tracer.is_on:
        span = UNTRACED if came_with is None else tracer.begin("", Kind.SERVER, came_with, {})
        return AnswerTrace(span, 1)
    named = {key: value for key, value in metadata if isinstance(value, str)}
    operation = operation_of(named)
    served = info.served_names[0]
    said: dict[str, Value] = {
        names.OPERATION: operation,
        names.PROVIDER: names.PROVIDER_NAME,
        names.MODEL: request.model or served,
        names.RESPONSE_MODEL: served,
        names.RPC_SYSTEM: "grpc",
        names.ATTEMPT_ID: request.request_id,
    }
    if request.stopping.max_new_tokens:
        said[names.TOKENS_MAX] = request.stopping.max_new_tokens
    choices = request.sampling.num_sequences or 1
    if choices > 1:
        said[names.CHOICES] = choices
    session = request.session_id or session_of(metadata)[1]
    if session:
        said[names.CONVERSATION] = session
    if REQUEST_ID_KEY in named:
        said[names.REQUEST_ID] = named[REQUEST_ID_KEY]
    name = span_name(operation, request.model or served)
    return AnswerTrace(tracer.begin(name, Kind.SERVER, came_with, said), choices)
