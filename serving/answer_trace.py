"""One answer of an engine as others see it: a span below that of who asked, a line in the log."""

import logging
import time
from typing import Final

import grpc

from serving.engine import EngineInfo, EngineOutput, Finish
from wire.logs.lines import FIELDS
from wire.logs.lines import Value as LogValue
from wire.logs.writing import requests_log
from wire.metadata import session_of
from wire.spillway.v1.trailers import REQUEST_ID_KEY
from wire.status import Metadata
from wire.tracing import names
from wire.tracing.context import TraceContext, read_trace_context, trace_id_of
from wire.tracing.names import operation_of, span_name
from wire.tracing.tracer import UNTRACED, Kind, Span, Tracer, Value
from wire.vllm import inference_pb2 as pb

SERVICE: Final = "spillway-replica"
"""What a replica is called among those that report spans."""


class AnswerTrace:
    """From the request's arrival to the last token. Where nobody looks, it only passes on."""

    __slots__ = (
        "_begun_ns",
        "_choices",
        "_error",
        "_finish",
        "_line",
        "_prompt_tokens",
        "_span",
        "_ttft_s",
        "waits",
    )

    def __init__(self, span: Span, choices: int, line: dict[str, LogValue] | None) -> None:
        """`line` is how a line of the log begins; None: there is none."""
        self._span = span
        self._choices = choices
        self._line = line
        self._prompt_tokens: int | None = None
        self._ttft_s: float | None = None
        self._begun_ns = time.monotonic_ns()
        self._error = "cancelled"  # until it is known how it ended
        self.waits = span.records or line is not None  # for its first token
        self._finish: Finish | None = None

    @property
    def context(self) -> TraceContext | None:
        """Its place, for what the engine says of it."""
        return self._span.context

    def first_token(self, output: EngineOutput) -> None:
        """The first output has come, and tells how long the prompt is."""
        self.waits = False
        self._ttft_s = (time.monotonic_ns() - self._begun_ns) / 1e9
        said: dict[str, Value] = {names.FIRST_CHUNK_S: self._ttft_s}
        if output.prompt is not None:
            said[names.INPUT_TOKENS] = self._prompt_tokens = len(output.prompt.token_ids)
        self._span.event(names.FIRST_TOKEN, {})
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
        if self._line is not None:
            self._write(self._line, tokens)
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

    def _write(self, line: dict[str, LogValue], tokens: int) -> None:
        said: dict[str, LogValue] = {
            **line,
            "trace_id": trace_id_of(self._span.context),
            "code": self._error.upper() or "OK",
            "prompt_tokens": self._prompt_tokens,
            "output_tokens": tokens,
            "finish_reason": None if self._finish is None else self._finish.reason.value,
            "ttft_s": None if self._ttft_s is None else round(self._ttft_s, 6),
            "duration_s": round((time.monotonic_ns() - self._begun_ns) / 1e9, 6),
        }
        requests_log().info("answer", extra={FIELDS: said})


def begin_answer(
    tracer: Tracer, request: pb.GenerateRequest, metadata: Metadata, info: EngineInfo
) -> AnswerTrace:
    """The trace of a request that has come in, and that may yet be refused."""
    came_with = read_trace_context(metadata)
    if not tracer.is_on:
        span = UNTRACED if came_with is None else tracer.begin("", Kind.SERVER, came_with, {})
        return AnswerTrace(span, 1, _line(request, metadata))
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
    span = tracer.begin(name, Kind.SERVER, came_with, said)
    return AnswerTrace(span, choices, _line(request, metadata))


def _line(request: pb.GenerateRequest, metadata: Metadata) -> dict[str, LogValue] | None:
    if not requests_log().isEnabledFor(logging.INFO):
        return None
    asked = next((value for key, value in metadata if key == REQUEST_ID_KEY), None)
    return {
        "request_id": asked if isinstance(asked, str) else None,
        "attempt_id": request.request_id or None,
        "model": request.model or None,
        "session": request.session_id or session_of(metadata)[1] or None,
    }
