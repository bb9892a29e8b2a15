"""An answer as a span of the program that asks for it, where that program has a tracer."""

import sys
import time

import grpc

from spillway.client.ending import Ending
from spillway.client.options import Call
from wire.status import Metadata
from wire.tracing import names
from wire.tracing.names import operation_of, span_name
from wire.tracing.tracer import UNTRACED, Kind, Span, Value


class AnswerSpan:
    """From the first attempt to the last token, below whatever the program is in."""

    def __init__(self, call: Call) -> None:
        self._span = _begun(call)
        self._begun_s = time.monotonic()
        self._waits = self._span.records  # for the first token

    @property
    def metadata(self) -> Metadata:
        """What goes with each attempt, so that what follows is below it."""
        context = self._span.context
        return () if context is None else context.metadata

    def sent(self, address: str) -> None:
        """An attempt was sent there."""
        if self._span.records:
            host, _, port = address.rpartition(":")
            where: dict[str, Value] = {names.SERVER_ADDRESS: host or address}
            if host and port.isdecimal():
                where[names.SERVER_PORT] = int(port)
            self._span.set(where)
            self._span.event("spillway.attempt", where)

    def came(self) -> None:
        """A message came. Only the first counts."""
        if self._waits:
            self._waits = False
            self._span.event(names.FIRST_TOKEN, {})
            self._span.set({names.FIRST_CHUNK_S: time.monotonic() - self._begun_s})

    def complete(self, ending: Ending, output_tokens: int) -> None:
        """The answer is complete; 0 tokens where they were not counted."""
        if self._span.records:
            said: dict[str, Value] = {
                names.REQUEST_ID: ending.request_id,
                names.ATTEMPTS: ending.attempts,
                names.RESUMED: ending.resumed,
            }
            if ending.site:
                said[names.SITE] = ending.site
            if output_tokens:
                said[names.OUTPUT_TOKENS] = output_tokens
            self._span.set(said)

    def fail(self, code: grpc.StatusCode) -> None:
        """It broke off, and nothing follows."""
        if self._span.records:
            self._span.set({names.RPC_STATUS: code.name})
            self._span.end(code.name)

    def end(self) -> None:
        """It is over, however it ended."""
        self._span.end()


def _begun(call: Call) -> Span:
    # Who has a tracer has imported it, and nobody else has to.
    if "opentelemetry.trace" not in sys.modules:
        return UNTRACED
    from wire.tracing.spans import begin_here  # noqa: PLC0415 - see above

    request = call.request
    operation = operation_of(dict(call.metadata))
    said: dict[str, Value] = {
        names.OPERATION: operation,
        names.PROVIDER: names.PROVIDER_NAME,
        names.STREAM: True,
        names.RESPONSE_ID: request.request_id,
    }
    if request.model:
        said[names.MODEL] = request.model
    if request.session_id:
        said[names.CONVERSATION] = request.session_id
    if request.stopping.max_new_tokens:
        said[names.TOKENS_MAX] = request.stopping.max_new_tokens
    return begin_here(span_name(operation, request.model), Kind.CLIENT, said)
