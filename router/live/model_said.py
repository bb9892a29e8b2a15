"""What the client of a request is told of the model that answers, and the request made for it."""

from collections.abc import Iterable
from typing import Any

from router.live.attempt import Attempt, Failure, end_of
from router.live.transcript import Transcript
from router.policy.resume import Mode
from wire.spillway.v1.trailers import MODEL_KEY
from wire.status import CallError, Metadata


def said_of(model: str) -> Metadata:
    """A model that answers under another name; nothing where none does."""
    return ((MODEL_KEY, model),) if model else ()


def model_in(trailers: Iterable[tuple[str, str | bytes]]) -> str:
    """The model that a router below says has answered; empty where it says none."""
    for key, value in trailers:
        if key == MODEL_KEY and isinstance(value, str):
            return value
    return ""


async def remade(
    attempt: Attempt, transcript: Transcript, laid_over: bytes, context: Any
) -> Failure | None:
    """Has a face in front make its prompt for the model that answers; why nothing is sent.

    A chat is another prompt by another model's template; a call from outside came with its prompt.
    Meanwhile the attempt may have been given up. `laid_over` are its tenant's terms.
    """
    remake = getattr(context, "remake", None)
    if remake is None or attempt.send.mode is not Mode.FRESH:
        return None
    try:
        raw = await remake(attempt.send.model)
    except CallError as error:
        return Failure(end_of(error.code), error.code, error.message, error.trailers)
    if raw is not None:
        transcript.remake(raw + laid_over)
    attempt.sets_out()
    return attempt.given_up
