"""Asks an endpoint for its health, and takes the time of the answer as the round trip."""

from dataclasses import dataclass
from typing import Final

import grpc
from grpc_health.v1 import health_pb2 as pb

from router.live.timed_core import now_ns

_SERVING: Final = pb.HealthCheckResponse.SERVING
_NO_ANSWER: Final = frozenset(
    {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a probe brought."""

    rtt_ns: int | None  # None: no answer
    serving: bool


async def probe(check: grpc.aio.UnaryUnaryMultiCallable, timeout_s: float) -> Answer:
    """Asks once. A server without the health service answers, too, and is taken for healthy."""
    asked_ns = now_ns()
    try:
        health = await check(pb.HealthCheckRequest(), timeout=timeout_s)
    except grpc.aio.AioRpcError as error:
        if error.code() in _NO_ANSWER:
            return Answer(None, serving=False)
        return Answer(now_ns() - asked_ns, serving=True)
    serving = health is None or health.status == _SERVING  # None: bytes that are no answer
    return Answer(now_ns() - asked_ns, serving=serving)
