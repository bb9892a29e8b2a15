"""Names in spans: OpenTelemetry's for generative AI, servers, RPC and errors; else ours.

https://github.com/open-telemetry/semantic-conventions-genai has the first; they are in development
there and not in opentelemetry-semantic-conventions. No span has a prompt or an answer in it.
"""

from collections.abc import Mapping
from typing import Final

from wire.metadata import OPERATION_KEY

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
CONVERSATION: Final = "gen_ai.conversation.id"
MODEL: Final = "gen_ai.request.model"
STREAM: Final = "gen_ai.request.stream"
TOKENS_MAX: Final = "gen_ai.request.max_tokens"
CHOICES: Final = "gen_ai.request.choice.count"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
FIRST_CHUNK_S: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
ERROR: Final = "error.type"
RPC_SYSTEM: Final = "rpc.system.name"
RPC_METHOD: Final = "rpc.method"
RPC_STATUS: Final = "rpc.response.status_code"

REQUEST_ID: Final = "spillway.request.id"
TENANT: Final = "spillway.tenant"
SLO: Final = "spillway.slo"
ROUTER: Final = "spillway.router"
SITE: Final = "spillway.site"
ENDPOINT: Final = "spillway.endpoint"
ATTEMPT_ID: Final = "spillway.attempt.id"
ATTEMPT: Final = "spillway.attempt.number"
ATTEMPT_MODE: Final = "spillway.attempt.mode"
ATTEMPT_HEDGE: Final = "spillway.attempt.hedge"
ATTEMPT_END: Final = "spillway.attempt.end"
ATTEMPTS: Final = "spillway.attempts"
RESUMED: Final = "spillway.resumed"
DELIVERED: Final = "spillway.resume.delivered_tokens"
RULE: Final = "spillway.decision.rule"
REASON: Final = "spillway.decision.reason"
CANDIDATES: Final = "spillway.decision.candidates"
OBJECTIVE_S: Final = "spillway.objective.ttft"

DECIDED: Final = "spillway.decision"
FIRST_TOKEN: Final = "spillway.first_token"  # noqa: S105 - of an answer
QUEUE: Final = "spillway queue"

PROVIDER_NAME: Final = "spillway"
TEXT_COMPLETION: Final = "text_completion"
CHAT: Final = "chat"


_MODEL_CHARS_MAX: Final = 256
"""A router takes no longer names; a replica refuses what it does not serve, and tells of it."""

_OPERATIONS: Final = frozenset({TEXT_COMPLETION, CHAT})


def operation_of(named: Mapping[str, str | bytes]) -> str:
    """What is done for a request, by the metadata it came with."""
    said = named.get(OPERATION_KEY)
    return said if isinstance(said, str) and said in _OPERATIONS else TEXT_COMPLETION


def span_name(operation: str, model: str) -> str:
    """What a span of a request is called; a name has no bound of the SDK's, as values have."""
    return f"{operation} {model[:_MODEL_CHARS_MAX]}" if model else operation
